// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"restante.example/maildrop"
)

// The index of a maildrop is a cache of what was learnt by reading files that
// other programs wrote. It can be deleted at any time. It begins with a magic,
// ends with a CRC-32C of all before it, and holds between them the maildrop's
// id and, for each file, its UID, identity, time and what was learnt.
const indexMagic = "restante index 1\n"

// maxIndex bounds the file in octets.
const maxIndex = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fact is what was learnt of a file of that identity and time.
type fact struct {
	id    identity
	mtime int64
	size  int64
	crc   uint32
	// bits are isWire and hasCRC of the entry.
	bits uint8
	// damaged: the file is not what was learnt; id and mtime are of the damaged one.
	damaged bool
}

var errIndex = errors.New("the index is damaged")

// encodeIndex returns an index; each gives all facts to its argument.
func encodeIndex(id maildrop.ID, count int, each func(yield func(uid string, f fact))) []byte {
	data := append(make([]byte, 0, 64+count*80), indexMagic...)
	data = appendText(data, string(id))
	each(func(uid string, f fact) {
		data = appendText(data, uid)
		data = binary.AppendUvarint(data, f.id.inode)
		data = binary.AppendUvarint(data, uint64(f.id.size))
		data = binary.AppendVarint(data, f.mtime)
		data = binary.AppendUvarint(data, uint64(f.size))
		data = binary.LittleEndian.AppendUint32(data, f.crc)
		bits := f.bits & (isWire | hasCRC)
		if f.damaged {
			bits |= 0x80
		}
		data = append(data, bits)
	})
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// decodeIndex reads an index. It returns all facts or an error.
func decodeIndex(data []byte, id maildrop.ID) (map[string]fact, error) {
	end := len(data) - 4
	if end < len(indexMagic) || string(data[:len(indexMagic)]) != indexMagic ||
		crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, errIndex
	}
	in := decoder{data: data[len(indexMagic):end]}
	if of := maildrop.ID(in.text()); in.err == nil && of != id {
		return nil, fmt.Errorf("the index is that of maildrop %q", of)
	}
	// A fact has at least 12 octets.
	facts := make(map[string]fact, len(in.data)/12/4)
	for len(in.data) > 0 && in.err == nil {
		uid := in.text()
		f := fact{id: identity{in.number(), int64(in.number())}}
		f.mtime = in.signed()
		f.size = int64(in.number())
		f.crc = in.fixed32()
		bits := in.octet()
		f.bits, f.damaged = bits&(isWire|hasCRC), bits&0x80 != 0
		if f.size < 0 || f.id.size < 0 {
			in.err = errRecord
		}
		facts[uid] = f
	}
	if in.err != nil {
		return nil, in.err
	}
	return facts, nil
}

func (in *decoder) signed() int64 {
	n, length := binary.Varint(in.data)
	if length <= 0 {
		in.data, in.err = nil, errRecord
		return 0
	}
	in.data = in.data[length:]
	return n
}

func (in *decoder) fixed32() uint32 {
	if len(in.data) < 4 {
		in.data, in.err = nil, errRecord
		return 0
	}
	n := binary.LittleEndian.Uint32(in.data)
	in.data = in.data[4:]
	return n
}

func (in *decoder) octet() byte {
	if len(in.data) < 1 {
		in.data, in.err = nil, errRecord
		return 0
	}
	b := in.data[0]
	in.data = in.data[1:]
	return b
}
