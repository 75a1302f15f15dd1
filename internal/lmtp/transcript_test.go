// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"restante.example/internal/intake"
	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// TestTranscripts holds the conversations of testdata/transcripts: lines
// "C: " are sent, lines "S: " must come back, in Go's quotes where they hold
// unusual octets. Each is held line by line, and once more with everything that
// the client says in one write, unless a line "single" forbids that.
//
// The users are ana and bob; carol's maildrop is full, dave's cannot be written,
// and the directory breaks when it is asked for eve.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { converse(t, string(script), false) })
		if !strings.Contains(string(script), "\nsingle\n") {
			t.Run(name+"/one write", func(t *testing.T) { converse(t, string(script), true) })
		}
	}
}

// moody is the directory of the transcripts.
type moody struct{ *pop3mem.Store }

func (m moody) Recipient(ctx context.Context, address string) ([]maildrop.Recipient, error) {
	if address == "eve" {
		return nil, errors.New("secret of the inside")
	}
	return m.Store.Recipient(ctx, address)
}

func converse(t *testing.T, script string, atOnce bool) {
	office := newOffice(func(op pop3mem.Op, id maildrop.ID) error {
		if op == pop3mem.OpStore && id == "dave" {
			return errors.New("secret of the inside")
		}
		return nil
	})
	office.AddUser("josé", "")
	office.AddUser("dave", "")
	office.AddUser("carol", "")
	if err := office.SetLimits("carol", pop3mem.Limits{Quota: maildrop.Quota{Octets: 1}}); err != nil {
		t.Fatal(err)
	}
	opts := optionsFor(office, 1000)
	opts.Intake = intake.New(office, moody{office}, &intake.Options{MaxSize: 1000})
	opts.Limits.WrongCommands = 30
	_, dial := start(t, opts)
	c := dial()
	var said strings.Builder
	for line := range strings.Lines(script) {
		if text, ok := strings.CutPrefix(line, "C: "); ok {
			said.WriteString(unquote(t, text) + "\r\n")
		}
	}
	if atOnce {
		go c.Write([]byte(said.String())) // what is not heard shows in the replies
	}
	for line := range strings.Lines(script) {
		if text, ok := strings.CutPrefix(line, "C: "); ok && !atOnce {
			c.send(t, unquote(t, text)+"\r\n")
		}
		if text, ok := strings.CutPrefix(line, "S: "); ok {
			want := unquote(t, text)
			if got := c.line(); got != want {
				t.Fatalf("got the line %q, want %q", got, want)
			}
		}
	}
	if got := c.line(); got != "EOF" {
		t.Errorf("behind the end came %q", got)
	}
}

func unquote(t *testing.T, line string) string {
	line = strings.TrimSuffix(line, "\n")
	if !strings.HasPrefix(line, `"`) {
		return line
	}
	s, err := strconv.Unquote(line)
	if err != nil {
		t.Fatalf("transcript line %s: %v", line, err)
	}
	return s
}
