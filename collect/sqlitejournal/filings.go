// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sqlitejournal

import (
	"encoding/binary"
	"errors"

	"restante.example/collect"
)

// A filing is written as the length and octets of its destination, the same of
// its name, and an octet that is 1 once it is filed.

var errFilings = errors.New("the list of filings is damaged")

func encodeFilings(b []byte, list []collect.Filing) []byte {
	for _, f := range list {
		b = binary.AppendUvarint(b, uint64(len(f.Destination)))
		b = append(b, f.Destination...)
		b = binary.AppendUvarint(b, uint64(len(f.Name)))
		b = append(b, f.Name...)
		if f.Filed {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

func decodeFilings(b []byte, names map[string]string) ([]collect.Filing, error) {
	var list []collect.Filing
	for len(b) > 0 {
		destination, rest, ok := cut(b)
		if !ok {
			return nil, errFilings
		}
		name, rest, ok := cut(rest)
		if !ok || len(rest) == 0 || rest[0] > 1 {
			return nil, errFilings
		}
		shared, known := names[string(destination)]
		if !known {
			shared = string(destination)
			names[shared] = shared
		}
		list = append(list, collect.Filing{Destination: shared, Name: string(name), Filed: rest[0] == 1})
		b = rest[1:]
	}
	return list, nil
}

// cut takes a string with its length in front from b.
func cut(b []byte) (s, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	return b[used : used+int(n)], b[used+int(n):], true
}
