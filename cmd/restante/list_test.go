// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"restante.example/collect/sqlitejournal"
	"restante.example/internal/accounts"
	"restante.example/pop3server/pop3fault"
)

// While a collection is under way nobody knows what is collected.
func TestListDuringCollection(t *testing.T) {
	s, err := pop3fault.Start(t.Context(), &pop3fault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	state := t.TempDir()
	a, err := accounts.FromFlags(accounts.Settings{Server: s.Address(), TLS: "none", User: "u1"}, accounts.ToLook)
	if err != nil {
		t.Fatal(err)
	}
	j, err := sqlitejournal.Open(t.Context(), a.Journal(state))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	t.Setenv("RESTANTE_PASSWORD", "secret")
	t.Setenv("LANG", "C")
	for flag, want := range map[string]string{"--json": `"collected":"unknown"`, "--state=" + state: " ?\n"} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"list", "--server", s.Address(), "--tls=none", "--user=u1", "--state", state, flag}, nil, &out, &errs)
		if code != 0 || strings.Count(out.String(), want) != 5 || !strings.Contains(errs.String(), "under way") {
			t.Errorf("%s: %d\n%s%s", flag, code, &out, &errs)
		}
	}
}

// mailFrom serves a maildrop in which TOP is answered by a function, "" refusing.
func mailFrom(t *testing.T, messages int, capa string, top func(n int) string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		fmt.Fprint(conn, "+OK\r\n")
		for scan := bufio.NewScanner(conn); scan.Scan(); {
			word, arg, _ := strings.Cut(scan.Text(), " ")
			answer := "+OK\r\n"
			switch word {
			case "CAPA":
				answer = "+OK\r\nUSER\r\n" + capa + ".\r\n"
			case "LIST", "UIDL":
				for n := range messages {
					answer += fmt.Sprintf("%d %d\r\n", n+1, 1000+n)
				}
				answer += ".\r\n"
			case "TOP":
				n, _ := strconv.Atoi(strings.Fields(arg)[0])
				if text := top(n); text != "" {
					answer += text + "\r\n.\r\n"
				} else {
					answer = "-ERR\r\n"
				}
			}
			if _, err := io.WriteString(conn, answer); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

// One message keeps no other from being shown.
func TestHeadersThatDoNotCome(t *testing.T) {
	t.Setenv("RESTANTE_PASSWORD", "secret")
	t.Setenv("LANG", "C")
	long := strings.Repeat("X-Fill: "+strings.Repeat("x", 992)+"\r\n", 20<<10)
	subject := func(n int) string { return fmt.Sprintf("Subject: letter %d.\r\n", n) }
	upTo := func(most int) func(int) string { // refuses the first ones
		return func(n int) string {
			if n <= most {
				return ""
			}
			return subject(n)
		}
	}
	longAt := func(which int, times int) func(int) string {
		return func(n int) string {
			if n == which {
				return strings.Repeat(long, times) + subject(n)
			}
			return subject(n)
		}
	}
	var asked atomic.Int32
	for _, one := range []struct {
		name, capa  string
		top         func(n int) string
		shown, said string
	}{
		{"long first", "TOP\r\nPIPELINING\r\n", longAt(1, 1), "2 3 4 5 6", ""},
		{"long", "TOP\r\nPIPELINING\r\n", longAt(3, 1), "1 2 4 5 6", ""},
		{"without end", "TOP\r\nPIPELINING\r\n", longAt(3, 4), "1 2", "header of message 3 is too long"},
		{"refused first", "TOP\r\nPIPELINING\r\n", upTo(1), "2 3 4 5 6", ""},
		{"refused, announced", "TOP\r\n", upTo(5), "6", ""},
		{"refused, unannounced", "", upTo(2), "3 4 5 6", ""},
		{"no TOP", "", func(int) string { asked.Add(1); return "" }, "", ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			address := mailFrom(t, 6, one.capa, one.top)
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"list", "--server", address, "--tls=none", "--user=u1", "--state", t.TempDir(), "--json"}, nil, &out, &errs)
			var shown []string
			rows := 0
			for dec := json.NewDecoder(&out); ; rows++ {
				var m listed
				if err := dec.Decode(&m); err != nil {
					break
				}
				if want := strings.TrimSpace(strings.TrimPrefix(subject(m.Number), "Subject: ")); m.Subject == want {
					shown = append(shown, strconv.Itoa(m.Number))
				} else if m.Subject != "" {
					t.Errorf("message %d has the subject %q", m.Number, m.Subject)
				}
			}
			if got := strings.Join(shown, " "); code != 0 || rows != 6 || got != one.shown || (one.said == "") != (errs.Len() == 0) || !strings.Contains(errs.String(), one.said) {
				t.Errorf("%d, %d rows, headers of %q, %s", code, rows, got, &errs)
			}
		})
	}
	if n := asked.Load(); n != triesUnannounced {
		t.Errorf("%d tries at a server without TOP", n)
	}
}

// A listing holds what it shows, not the headers that it was taken from.
func TestLongFields(t *testing.T) {
	fill := strings.Repeat(" größer", 20_000)
	header := []byte("Subject: one" + fill + "\r\nFrom: \"two" + fill + "\" <a@example.org>\r\nDate: three" + fill + "\r\n\r\n")
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	list := make([]listed, 20)
	for i := range list {
		list[i].header(header)
	}
	if kept := int64(heap()) - int64(before); kept > 1<<20 {
		t.Errorf("%d messages keep %d kB", len(list), kept>>10)
	}
	for want, got := range map[string]string{"one größer": list[0].Subject, "two größer": list[0].From, "three größer": list[0].Date} {
		if !strings.HasPrefix(got, want) || len(got) > 2*maxField || !utf8.ValidString(got) || !strings.Contains(got, "…") {
			t.Errorf("%d octets: %.40q", len(got), got)
		}
	}
	runtime.KeepAlive(header)
}
