// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/daemon"
	"restante.example/pop3"
)

// The demo notices every octet that does not come back as it was delivered.
func TestDemoComparesEveryOctet(t *testing.T) {
	var shown bytes.Buffer
	c, err := newConsole(strings.NewReader(""), &shown, &shown, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	conf, err := config.Load("", config.Flags{Data: filepath.Join(t.TempDir(), "d"), POP3: "off", POP3S: "127.0.0.1:0", LMTP: "127.0.0.1:0"}, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	conf.LogLevel = "error"
	server, err := daemon.Open(t.Context(), conf, daemon.NewLog(io.Discard, conf), "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, context.Background()) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := server.Operations().Call(ctx, daemon.OpUserAdd, daemon.UserArgs{Name: "demo", Password: "pw"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	letters, err := (&demoCommand{User: "demo"}).letters(c)
	if err != nil {
		t.Fatal(err)
	}
	ready := server.Ready()
	ready.User = "demo"
	if err := deliverLetters(ctx, ready.LMTP, "demo", letters); err != nil {
		t.Fatal(err)
	}
	if err := collectLetters(ctx, c, ready, "pw", letters); err != nil {
		t.Errorf("unharmed letters: %v", err)
	}
	if text := shown.String(); strings.Contains(text, "PASS pw") || !strings.Contains(text, "C: PASS ********") {
		t.Errorf("the password was shown: %s", text)
	}
	if err := collectLetters(ctx, c, ready, "wrong", letters); err == nil {
		t.Error("a wrong password was not noticed")
	}
	letters[1].sum[7] ^= 1
	if err := collectLetters(ctx, c, ready, "pw", letters); err == nil || !strings.Contains(err.Error(), "message 2") {
		t.Errorf("a changed octet: %v", err)
	}
	letters[1].sum[7] ^= 1
	// The session before hung up, which the server may not have noticed yet.
	err = collectLetters(ctx, c, ready, "pw", letters[:2])
	for end := time.Now().Add(time.Minute); errors.Is(err, pop3.CodeInUse) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		err = collectLetters(ctx, c, ready, "pw", letters[:2])
	}
	if err == nil || !strings.Contains(err.Error(), "STAT") {
		t.Errorf("a letter too many: %v", err)
	}
}

// Somebody may read only the start of what the demo shows.
func TestExcerptShowsTheStart(t *testing.T) {
	text := strings.Repeat("line\r\n", 20) + strings.Repeat("x", 100_000) + "\r\n"
	for _, size := range []int{1, 7, 5000, len(text)} {
		var lines []string
		e := &excerpt{show: func(line string) { lines = append(lines, line) }}
		for i := 0; i < len(text); i += size {
			if _, err := io.WriteString(e, text[i:min(i+size, len(text))]); err != nil {
				t.Fatal(err)
			}
		}
		if e.lines != 21 || len(lines) != shownRows || lines[0] != "line" || len(e.part) != 0 {
			t.Errorf("by %d: %d lines, %d shown: %q", size, e.lines, len(lines), lines)
		}
	}
}
