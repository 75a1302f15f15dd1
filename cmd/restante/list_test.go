// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

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
