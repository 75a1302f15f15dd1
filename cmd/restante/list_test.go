// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"runtime"
	"strings"
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
