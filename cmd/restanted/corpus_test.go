// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// specimen is a message that has bitten somebody, or could.
type specimen struct {
	name string
	text []byte
}

// corpus returns the nasty messages. The largest are left out in short runs.
func corpus(short bool) []specimen {
	head := "Subject: x\r\n\r\n"
	list := []specimen{
		{"plain", []byte(head + "hello\r\n")},
		{"dots", []byte(head + ".\r\n..\r\n...\r\n.x\r\n. \r\nx.\r\n.")},
		{"begins with a dot", []byte(".\r\n.Subject: x\r\n")},
		{"one dot", []byte(".")},
		{"no final newline", []byte(head + "the end")},
		{"final CR", []byte(head + "the end\r")},
		{"bare LF", []byte("Subject: x\n\na\nb\n\n\nc\n")},
		{"bare CR", []byte("Subject: x\r\r\ra\rb\r\r\nc\r")},
		{"LF dot LF", []byte(head + "before\n.\nMAIL FROM:<smuggled@x>\nafter\n")},
		{"LF dot CRLF", []byte(head + "before\n.\r\nafter\r\n")},
		{"CR dot CRLF", []byte(head + "before\r.\r\nafter\r\n")},
		{"mixed", []byte("a\r\nb\nc\rd\n\re\r\r\n\n\r\n")},
		{"NUL", []byte(head + "a\x00b\x00\r\n\x00\r\n")},
		{"8-bit", allOctets(head)},
		{"empty body", []byte(head)},
		{"headers only", []byte("Subject: x\r\nFrom: y\r\n")},
		{"no header", []byte("\r\nbody\r\n")},
		{"one LF", []byte("\n")},
		{"one CR", []byte("\r")},
		{"nothing", nil},
		{"many lines", []byte(head + strings.Repeat("\n", 100_000))},
		{"many dots", []byte(head + strings.Repeat(".\n", 100_000))},
		{"long header", []byte("Subject: " + strings.Repeat("x", 300_000) + "\r\n\r\nbody\r\n")},
	}
	// The borders of buffers, with a dot or a line end across them.
	for _, size := range []int{511, 512, 4095, 4096, 32767, 32768, 65535, 65536} {
		list = append(list,
			specimen{fmt.Sprintf("CRLF dot at %d", size), []byte(strings.Repeat("x", size) + "\r\n.\r\n..\r\nend")},
			specimen{fmt.Sprintf("LF at %d", size), []byte(strings.Repeat("x", size) + "\n\n.\nend\r")})
	}
	if !short {
		list = append(list,
			specimen{"10 MB in one line", append([]byte(head), bytes.Repeat([]byte("z"), 10_000_000)...)},
			specimen{"100 MB", append([]byte(head), bytes.Repeat([]byte("one line of a long letter, with a bare end\n"), 100_000_000/43)...)})
	}
	return list
}

func allOctets(head string) []byte {
	text := []byte(head)
	for i := range 256 {
		text = append(text, byte(i))
	}
	return append(text, "\xc3\xa1 \xff\xfe\r\n"...)
}

// model is what POP3 must give of an input: the lines that were added, then the
// input with CRLF for a bare LF and a final CRLF. It shares no code with the
// server.
func model(prefix string, input []byte) []byte {
	unix := bytes.ReplaceAll(input, []byte("\r\n"), []byte("\n"))
	whole := append([]byte(prefix), bytes.ReplaceAll(unix, []byte("\n"), []byte("\r\n"))...)
	if len(whole) > 0 && !bytes.HasSuffix(whole, []byte("\r\n")) {
		whole = append(whole, "\r\n"...)
	}
	return whole
}

// carried is what LMTP can carry of an input: its end is a line of its own, so
// a client puts CRLF behind what does not end in it. RFC 5321 section 4.1.1.4.
func carried(input []byte) []byte {
	if len(input) == 0 || bytes.HasSuffix(input, []byte("\r\n")) {
		return input
	}
	return append(bytes.Clone(input), "\r\n"...)
}

// startServer runs a server for a test, with further flags, and returns where
// it is.
func startServer(t *testing.T, data string, flags ...string) readyFile {
	t.Helper()
	file := filepath.Join(data, "ready")
	args := []string{"serve", "--data", data, "--pop3", "127.0.0.1:0", "--pop3s", "off", "--lmtp", "127.0.0.1:0", "--ready-file", file}
	cmd := exec.Command(installed(t), append(args, flags...)...)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // Wait tells whether it ended well
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log of the server:\n%s", &log)
		}
	})
	for range 2000 {
		if text, err := os.ReadFile(file); err == nil {
			var ready readyFile
			if err := json.Unmarshal(text, &ready); err != nil {
				t.Fatal(err)
			}
			return ready
		}
		time.Sleep(5 * time.Millisecond) // another process is waited for
	}
	t.Fatalf("the server did not answer:\n%s", &log)
	return readyFile{}
}

// What is delivered by LMTP, through the pipe, or dropped into new/ by another
// program comes out as the model says, and LIST, STAT and RETR agree.
func TestCorpus(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	program := installed(t)
	for _, user := range []string{"lmtp", "pipe", "dropped"} {
		add := exec.Command(program, "user", "add", user, "--password-stdin", "--data", data)
		add.Stdin = strings.NewReader(killPassword + "\n")
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	ready := startServer(t, data)
	list := corpus(testing.Short())

	t.Run("LMTP", func(t *testing.T) {
		c, err := rawLMTP(ready.LMTP)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var want [][]byte
		for _, s := range list {
			if err := c.Conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			if err := c.send("a@b", "lmtp@localhost", s.text); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			want = append(want, model(added("a@b", "lmtp@localhost"), carried(s.text)))
		}
		collectCorpus(t, ready, "lmtp", list, want)
	})
	t.Run("pipe", func(t *testing.T) {
		var want [][]byte
		for _, s := range list {
			deliver := exec.Command(program, "deliver", "-f", "a@b", "pipe", "--data", data)
			deliver.Stdin = bytes.NewReader(s.text)
			if out, err := deliver.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", s.name, err, out)
			}
			want = append(want, model(added("a@b", "pipe"), s.text))
		}
		collectCorpus(t, ready, "pipe", list, want)
	})
	t.Run("another program", func(t *testing.T) {
		maildir := filepath.Join(data, "mail", "dropped", "Maildir")
		var want [][]byte
		for i, s := range list {
			name := fmt.Sprintf("%d.M%dP1.elsewhere", 1_700_000_000+i, i)
			if err := os.WriteFile(filepath.Join(maildir, "tmp", name), s.text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(maildir, "tmp", name), filepath.Join(maildir, "new", name)); err != nil {
				t.Fatal(err)
			}
			want = append(want, model("", s.text))
		}
		collectCorpus(t, ready, "dropped", list, want)
	})
}

// collectCorpus retrieves all mail of a user and compares it with what is wanted.
func collectCorpus(t *testing.T, ready readyFile, user string, names []specimen, want [][]byte) {
	t.Helper()
	c, err := rawPOP3(ready.POP3, user, killPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var total int64
	for _, w := range want {
		total += int64(len(w))
	}
	stat, err := c.say("STAT", "+OK")
	if err != nil {
		t.Fatal(err)
	}
	if expect := fmt.Sprintf("+OK %d %d", len(want), total); stat != expect {
		t.Errorf("STAT says %q, want %q", stat, expect)
	}
	list, err := c.list()
	if err != nil || len(list) != len(want) {
		t.Fatalf("%d messages are listed, want %d: %v", len(list), len(want), err)
	}
	for i, w := range want {
		if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if list[i].size != len(w) {
			t.Errorf("%s: LIST says %d, want %d", names[i].name, list[i].size, len(w))
		}
		if len(w) < 1<<20 {
			if _, err := c.say(fmt.Sprint("RETR ", i+1), "+OK"); err != nil {
				t.Fatalf("%s: %v", names[i].name, err)
			}
			var got bytes.Buffer
			if _, err := c.text(&got); err != nil {
				t.Fatalf("%s: %v", names[i].name, err)
			}
			if !bytes.Equal(got.Bytes(), w) {
				t.Errorf("%s: got %d octets %.80q, want %d octets %.80q", names[i].name, got.Len(), &got, len(w), w)
			}
			continue
		}
		got, octets, err := c.retrieve(i + 1)
		if err != nil {
			t.Fatalf("%s: %v", names[i].name, err)
		}
		if octets != len(w) || got != sum(sha256.Sum256(w)) {
			t.Errorf("%s: got %d octets that are not the %d wanted", names[i].name, octets, len(w))
		}
	}
	if _, err := c.say("QUIT", "+OK"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("behind QUIT: %v", err)
	}
}

// The command deliver works the same on the files themselves when no server
// runs, and a broken input leaves nothing behind.
func TestDeliverWithoutServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	program := installed(t)
	add := exec.Command(program, "user", "add", "ana", "--password-stdin", "--data", data)
	add.Stdin = strings.NewReader(killPassword + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list := corpus(true)
	var want [][]byte
	for _, s := range list {
		deliver := exec.Command(program, "deliver", "-f", "a@b", "ana", "--data", data)
		deliver.Stdin = bytes.NewReader(s.text)
		if out, err := deliver.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", s.name, err, out)
		}
		want = append(want, model(added("a@b", "ana"), s.text))
	}
	collectCorpus(t, startServer(t, data), "ana", list, want)
}
