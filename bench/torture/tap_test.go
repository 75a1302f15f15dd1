// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"crypto/sha256"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestTap: what passes by is understood, pipelined or not, and passed on as it is.
func TestTap(t *testing.T) {
	whole := "Subject: a\r\n\r\n.dot\r\nlast\r\n"
	s := sum(sha256.Sum256([]byte(whole)))
	for name, c := range map[string]struct {
		commands, answers string
		removed, leaving  int
	}{
		"deleted": {"USER a\r\nPASS b\r\nLIST\r\nUIDL\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n",
			"+OK\r\n+OK\r\n+OK\r\n1 26\r\n.\r\n+OK\r\n1 x\r\n.\r\n+OK\r\nSubject: a\r\n\r\n..dot\r\nlast\r\n.\r\n+OK\r\n+OK\r\n", 1, 0},
		"no answer to QUIT": {"AUTH PLAIN\r\nAGEAYg==\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n",
			"+ \r\n+OK\r\n+OK\r\nSubject: a\r\n\r\n..dot\r\nlast\r\n.\r\n+OK\r\n", 0, 1},
		"refused QUIT": {"RETR 1\r\nDELE 1\r\nQUIT\r\n", "+OK\r\nSubject: a\r\n\r\n..dot\r\nlast\r\n.\r\n+OK\r\n-ERR [SYS/TEMP] 1 stayed\r\n", 0, 1},
		"taken back":   {"RETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n", "+OK\r\nSubject: a\r\n\r\n..dot\r\nlast\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n", 0, -1},
		"hung up":      {"RETR 1\r\nDELE 1\r\n", "+OK\r\nSubject: a\r\n\r\n..dot\r\nlast\r\n.\r\n+OK\r\n", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			r := &report{counts: map[string]int{}, log: io.Discard, began: time.Now()}
			l := newLedger("ana", r.broken)
			l.sending(s, len(whole))
			l.answered(s, true, false)
			tap, err := newTap(server.Addr().String(), l, r)
			if err != nil {
				t.Fatal(err)
			}
			client, err := net.Dial("tcp", "127.0.0.1:"+tap.port())
			if err != nil {
				t.Fatal(err)
			}
			behind, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(behind, "+OK ready\r\n"); err != nil {
				t.Fatal(err)
			}
			// QUIT comes together with what is before it, as some programs send it,
			// and all else after the answer to what was before.
			in := bufio.NewReader(behind)
			before := strings.Index(c.commands, "DELE")
			answered := strings.Index(c.answers, "\r\n.\r\n+OK\r\n") + len("\r\n.\r\n")
			if strings.Contains(c.commands, "UIDL") {
				answered = strings.LastIndex(c.answers, "\r\n.\r\n") + len("\r\n.\r\n")
			}
			got := make([]byte, len("+OK ready\r\n"), 1000)
			if _, err := io.ReadFull(client, got); err != nil {
				t.Fatal(err)
			}
			for _, part := range [][2]string{{c.commands[:before], c.answers[:answered]}, {c.commands[before:], c.answers[answered:]}} {
				if _, err := io.WriteString(client, part[0]); err != nil {
					t.Fatal(err)
				}
				said := make([]byte, len(part[0]))
				if _, err := io.ReadFull(in, said); err != nil || string(said) != part[0] {
					t.Fatalf("%q, %v", said, err)
				}
				if _, err := io.WriteString(behind, part[1]); err != nil {
					t.Fatal(err)
				}
				heard := make([]byte, len(part[1]))
				if _, err := io.ReadFull(client, heard); err != nil {
					t.Fatal(err)
				}
				got = append(got, heard...)
			}
			if err := behind.Close(); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(client)
			if got = append(got, rest...); err != nil || string(got) != "+OK ready\r\n"+c.answers {
				t.Errorf("passed on: %q, %v", got, err)
			}
			tap.close()
			// RSET before QUIT is known only when it is answered: until then a
			// removal may come about.
			want := c.leaving
			if f := l.totals(); f.seen != 1 || f.removed != c.removed || want >= 0 && f.leaving != want {
				t.Errorf("%+v", f)
			}
			if r.isBroken() {
				t.Errorf("%q", r.breaches)
			}
		})
	}
}

func TestUnstuff(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for wire, want := range map[string]string{
		".\r\n":                                "",
		"a\r\n.\r\n":                           "a\r\n",
		"..\r\n.\r\n":                          ".\r\n",
		"a\n.\r\n.\r\n":                        "a\n.\r\n",
		long + "\r\n..b\r\n.\r\n":              long + "\r\n.b\r\n",
		strings.Repeat("..\r\n", 99) + ".\r\n": strings.Repeat(".\r\n", 99),
	} {
		var got strings.Builder
		n, err := unstuff(&got, bufio.NewReaderSize(strings.NewReader(wire+"+OK next\r\n"), 16))
		if err != nil || got.String() != want || n != len(want) {
			t.Errorf("%.60q: %.60q, %d, %v", wire, got.String(), n, err)
		}
		if _, err := unstuff(io.Discard, bufio.NewReader(strings.NewReader(strings.TrimSuffix(wire, ".\r\n")))); err == nil {
			t.Errorf("%.60q: no dot, no error", wire)
		}
	}
	if got := string(stuff([]byte(".a\r\n..b\r\nc.\r\n"))); got != "..a\r\n...b\r\nc.\r\n.\r\n" {
		t.Errorf("stuffed: %q", got)
	}
}

func TestCorpora(t *testing.T) {
	lists, err := corpora()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"FuzzServer", "FuzzParseCommand", "FuzzConversation"} {
		if len(lists[target]) == 0 {
			t.Errorf("nothing of %s", target)
		}
	}
	if got, ok := fuzzValue(`[]byte("a\x00\r\n")`); !ok || string(got) != "a\x00\r\n" {
		t.Errorf("%q, %t", got, ok)
	}
	if _, ok := fuzzValue("byte('G')"); ok {
		t.Error("a number is taken for octets")
	}
}
