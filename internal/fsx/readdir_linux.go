// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package fsx

import (
	"bytes"
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// readDir lists an open directory. Package os asks the system about each name
// in a directory that was opened through a Root, which costs more than all the
// rest of a listing; the type that the listing itself has is enough here.
func readDir(f *os.File) ([]Entry, error) { return readDirOf(int(f.Fd())) }

func readDirOf(fd int) ([]Entry, error) {
	var entries []Entry
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("getdents", err)
		}
		if n <= 0 {
			return entries, nil
		}
		entries = appendEntries(entries, buf[:n])
	}
}

// appendEntries reads the records of getdents64(2): inode and offset, 8 octets
// each, the record's length in 2, its type in 1, and the name up to a NUL.
func appendEntries(entries []Entry, buf []byte) []Entry {
	const name = 8 + 8 + 2 + 1
	for len(buf) > name {
		length := int(binary.NativeEndian.Uint16(buf[16:]))
		if length <= name || length > len(buf) {
			return entries
		}
		text := buf[name:length]
		if end := bytes.IndexByte(text, 0); end >= 0 {
			text = text[:end]
		}
		typ := buf[18]
		buf = buf[length:]
		if string(text) == "." || string(text) == ".." {
			continue
		}
		e := Entry{Name: string(text), Type: TypeOther}
		switch typ {
		case unix.DT_REG:
			e.Type = TypeFile
		case unix.DT_DIR:
			e.Type = TypeDir
		case unix.DT_UNKNOWN:
			e.Type = TypeUnknown
		}
		entries = append(entries, e)
	}
	return entries
}
