// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// serving is the address of a server that gives each connection these answers, one
// to each line that it reads but the first, and then hangs up.
func serving(t *testing.T, answers ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			lines := bufio.NewReader(conn)
			for i, answer := range answers {
				if i > 0 {
					_, _ = lines.ReadString('\n')
				}
				_, _ = io.WriteString(conn, answer+"\r\n")
			}
			if len(answers) > 0 {
				_, _ = lines.ReadString('\n')
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// An error becomes the reason below a table: it says what was being done.
func TestErrorsSayWhatWasDone(t *testing.T) {
	for _, c := range []struct {
		answers []string
		want    string
	}{
		{nil, "greeting: EOF"},
		{[]string{"-ERR full"}, `greeting: the server said "-ERR full"`},
		{[]string{"+OK", "+OK"}, "PASS: EOF"},
		{[]string{"+OK", "+OK", "-ERR no"}, `PASS: the server said "-ERR no"`},
		{[]string{"+OK", "+OK", "+OK"}, "STAT: EOF"},
		{[]string{"+OK", "+OK", "+OK", "+OK"}, "QUIT: EOF"},
	} {
		err := session(t.Context(), &instance{pop3: serving(t, c.answers...)}, 1, false)
		if err == nil || err.Error() != c.want || strings.Contains(err.Error(), password) {
			t.Errorf("after %q: %v, want %s", c.answers, err, c.want)
		}
	}
	// What the error is can still be told.
	err := session(t.Context(), &instance{pop3: serving(t, "+OK", "+OK", "-ERR [IN-USE] wait")}, 1, false)
	if !isLater(err) {
		t.Errorf("%v does not ask to come again", err)
	}
	c, err := dial(t.Context(), serving(t, "220 hello", "250-a\r\n250 b", "250 yes", "250 yes", "354 go on"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.lhlo(); err != nil {
		t.Fatal(err)
	}
	if err := c.deliver(1, ""); err == nil || !errors.Is(err, io.EOF) || err.Error() != "the message after DATA: EOF" {
		t.Errorf("delivering: %v", err)
	}
}
