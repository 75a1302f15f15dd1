// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// The file begins with its magic, how many octets were flushed before it got
// its name (u64), and a checksum of both (u32). Then come frames:
//
//	magic    4 octets
//	length   u32, of type and data
//	checksum u32, CRC-32C of all that follows, and of the length
//	flushed  u64: so much of the file was durable when this frame was written
//	type     1 octet
//	data
//
// Numbers are little-endian. By "flushed" a torn end is told from damage: what
// is unreadable is a torn end unless something later says that it was durable.
const (
	fileMagic  = "restante journal 1\n"
	frameMagic = "\xf5rj\n"
	prologue   = len(fileMagic) + 8 + 4
	frameHead  = 4 + 4 + 4 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// octets returns how long the frames of records are.
func octets(records []Record) (n int) {
	for _, r := range records {
		n += frameHead + 1 + len(r.Data)
	}
	return n
}

func appendRecord(to []byte, r Record, flushed int64) []byte {
	from := len(to)
	to = append(to, frameMagic...)
	to = binary.LittleEndian.AppendUint32(to, uint32(1+len(r.Data)))
	to = append(to, 0, 0, 0, 0)
	to = binary.LittleEndian.AppendUint64(to, uint64(flushed))
	to = append(to, r.Type)
	to = append(to, r.Data...)
	binary.LittleEndian.PutUint32(to[from+8:], frameSum(to[from:]))
	return to
}

func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[4:8], castagnoli), castagnoli, frame[12:])
}

// image returns a whole journal.
func image(records []Record) []byte {
	data := make([]byte, prologue, prologue+octets(records))
	for _, r := range records {
		data = appendRecord(data, r, int64(len(data)))
	}
	copy(data, fileMagic)
	binary.LittleEndian.PutUint64(data[len(fileMagic):], uint64(len(data)))
	binary.LittleEndian.PutUint32(data[prologue-4:], crc32.Checksum(data[:prologue-4], castagnoli))
	return data
}

// frame reads the frame at the beginning of data and returns its length, 0
// when there is no whole one.
func frame(data []byte) (r Record, flushed int64, length int) {
	if len(data) < frameHead+1 || string(data[:4]) != frameMagic {
		return Record{}, 0, 0
	}
	body := binary.LittleEndian.Uint32(data[4:])
	if body < 1 || body > MaxRecord || int(body) > len(data)-frameHead {
		return Record{}, 0, 0
	}
	data = data[:frameHead+int(body)]
	if frameSum(data) != binary.LittleEndian.Uint32(data[8:]) {
		return Record{}, 0, 0
	}
	return Record{Type: data[frameHead], Data: data[frameHead+1:]},
		int64(binary.LittleEndian.Uint64(data[12:])), len(data)
}

// Scan reads the octets of a journal and gives each record to apply. It
// returns where the readable part ends; what follows was torn by a crash and
// never confirmed. It returns a *DamageError when something that had been
// confirmed cannot be read.
func Scan(data []byte, apply func(Record) error) (end int64, err error) {
	end, _, err = scan(data, apply)
	return end, err
}

// scan is Scan, and returns how much of the file is known to be durable too.
// The rest may be in the memory of the system only, when a program that wrote
// it without flushing has ended and the system has not.
func scan(data []byte, apply func(Record) error) (end, durable int64, err error) {
	if len(data) < prologue || string(data[:len(fileMagic)]) != fileMagic ||
		crc32.Checksum(data[:prologue-4], castagnoli) != binary.LittleEndian.Uint32(data[prologue-4:]) {
		// The prologue is flushed before the file gets its name, so it is never torn.
		return 0, 0, &DamageError{}
	}
	sealed := binary.LittleEndian.Uint64(data[len(fileMagic):])
	at := prologue
	for at < len(data) {
		r, flushed, length := frame(data[at:])
		if length == 0 {
			break
		}
		if err := apply(r); err != nil {
			return int64(at), durable, err
		}
		durable = max(durable, flushed)
		at += length
	}
	if uint64(at) < sealed || confirmedLater(data, at) {
		return int64(at), durable, &DamageError{Offset: int64(at)}
	}
	return int64(at), min(max(durable, int64(sealed)), int64(at)), nil
}

// confirmedLater reports whether a frame behind an unreadable place says that
// the place was durable.
func confirmedLater(data []byte, at int) bool {
	for from := at + 1; from < len(data); {
		i := bytes.Index(data[from:], []byte(frameMagic))
		if i < 0 {
			return false
		}
		from += i
		_, flushed, length := frame(data[from:])
		if length > 0 && flushed > int64(at) {
			return true
		}
		// Step into a frame as well as over it: a record may hold anything.
		from++
	}
	return false
}
