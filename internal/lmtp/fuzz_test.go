// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tape is a connection whose client has said everything beforehand.
type tape struct {
	in  io.Reader
	out bytes.Buffer
}

func (c *tape) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *tape) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *tape) Close() error                     { return nil }
func (c *tape) LocalAddr() net.Addr              { return &net.UnixAddr{Net: "unix"} }
func (c *tape) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix"} }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

// replyForm is RFC 5321 section 4.2, with the enhanced code of RFC 2034 where it
// belongs.
var replyForm = regexp.MustCompile(`^[2345][0-9][0-9][ -][ -~]{0,500}$`)

// FuzzConversation: whatever a client says, the replies are whole lines of the
// right form, and messages are stored where, and only where, that was answered.
func FuzzConversation(f *testing.F) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no transcripts", err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var said strings.Builder
		for line := range strings.Lines(string(script)) {
			if text, ok := strings.CutPrefix(line, "C: "); ok {
				said.WriteString(strings.TrimSuffix(text, "\n") + "\r\n")
			}
		}
		f.Add([]byte(said.String()))
	}
	opening := "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ana>\r\nRCPT TO:<bob>\r\nDATA\r\n"
	for name, text := range nasty {
		if len(text) < 5000 {
			wire, _ := onTheWire(text)
			f.Add([]byte(opening + wire + "QUIT\r\n"))
			f.Add([]byte(opening + name + wire + opening + wire))
		}
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		office := newOffice(nil)
		s := New(optionsFor(office, 10_000))
		conn := &tape{in: bytes.NewReader(said)}
		newSession(s, conn).serve()
		out := conn.out.String()
		lines := strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n")
		delivered := 0
		for i, line := range lines {
			if !replyForm.MatchString(line) || (i == 0) != strings.HasPrefix(line, "220 ") {
				t.Fatalf("line %d is %q", i, line)
			}
			if line == "250 2.1.5 Delivered" {
				delivered++
			}
		}
		stored := append(texts(office, "ana"), texts(office, "bob")...)
		// A recipient that is given twice is answered twice and stored once.
		if !strings.HasSuffix(out, "\r\n") || len(stored) > delivered || (len(stored) == 0) != (delivered == 0) {
			t.Fatalf("%d were told to be delivered, %d are stored", delivered, len(stored))
		}
		for _, text := range stored {
			if !strings.HasPrefix(text, "Return-Path: <") || !strings.HasSuffix(text, "\r\n") {
				t.Fatalf("stored %q", text)
			}
		}
	})
}
