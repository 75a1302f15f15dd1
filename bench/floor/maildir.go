// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// message is a file of a Maildir and its size as POP3 sends it.
type message struct {
	path   string
	octets int
}

func (m message) uid() string {
	name := filepath.Base(m.path)
	if i := strings.IndexAny(name, ",:"); i > 0 {
		return name[:i]
	}
	return name
}

// scan lists a Maildir, in the order of its names. A size that a name does not
// tell is counted.
func scan(box string) ([]message, error) {
	var list []message
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(box, sub))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			m := message{path: filepath.Join(box, sub, e.Name())}
			if m.octets, err = size(m.path); err != nil {
				return nil, err
			}
			list = append(list, m)
		}
	}
	return list, nil
}

func size(path string) (int, error) {
	if _, after, ok := strings.Cut(path, ",W="); ok {
		digits, _, _ := strings.Cut(after, ":")
		return strconv.Atoi(digits)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return len(text) + bytes.Count(text, []byte{'\n'}) - bytes.Count(text, []byte("\r\n")), nil
}

var delivered atomic.Int64

// serveLMTP takes mail in: each message is flushed, and so is its name.
func serveLMTP(dir string, conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), reply{conn: conn}
	box := ""
	out.line("220 floor")
	for out.flush(in) {
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.TrimRight(text, "\r\n")); {
		case strings.HasPrefix(verb, "RCPT TO:<"):
			local, _, _ := strings.Cut(text[len("RCPT TO:<"):], "@")
			box = filepath.Join(dir, local)
			out.line("250 ok")
		case verb == "DATA":
			out.line("354 go on")
			out.flush(nil)
			if err := deliver(box, in); err != nil {
				out.line("451 " + err.Error())
				continue
			}
			out.line("250 kept")
		case verb == "QUIT":
			out.line("221 bye")
			out.flush(nil)
			return
		default:
			out.line("250 ok")
		}
	}
}

func deliver(box string, in *bufio.Reader) error {
	var text []byte
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if string(line) == ".\r\n" {
			break
		}
		text = append(text, bytes.TrimPrefix(line, []byte{'.'})...)
	}
	name := fmt.Sprintf("%d.P%dN%d.floor,S=%d,W=%[4]d", time.Now().Unix(), os.Getpid(), delivered.Add(1), len(text))
	tmp := filepath.Join(box, "tmp", name)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close(), os.Rename(tmp, filepath.Join(box, "new", name))); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Join(box, "new"))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
