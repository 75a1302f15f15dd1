// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"fmt"
	"testing"
	"time"

	"restante.example/internal/fsx/memfs"
	"restante.example/maildrop"
)

func TestWhere(t *testing.T) {
	c := newClock()
	s := keepingOn(t, memfs.New(memfs.Options{Clock: c.Now}), c.Now, &maildrop.Rules{KeepRemoved: time.Hour})
	for i := range 3 {
		deliver(t, s, fmt.Sprintf("Subject: x\nMessage-ID: <%d@example.org>\n\nbody", i))
	}
	addView(t, s, "phone", time.Time{})
	removeFrom(t, s, "phone", 1, 2)
	removeFrom(t, s, "", 1)
	all, err := s.Where(t.Context(), "u", true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range all {
		got = append(got, fmt.Sprintf("%s waiting %q removed %q held %t", w.MessageID, w.Waiting, w.Removed, w.Held))
	}
	equal(t, got, []string{
		`0@example.org waiting [] removed [] held true`,
		`1@example.org waiting [""] removed ["phone"] held false`,
		`2@example.org waiting ["" "phone"] removed [] held false`,
	})
}

func TestMessageID(t *testing.T) {
	for header, want := range map[string]string{
		"Message-ID: <a@b>\r\n\r\n":                         "a@b",
		"Subject: x\nmessage-id:<a@b>\nTo: y\n\n":           "a@b",
		"Message-Id:\r\n <a@b>\r\nX: y\r\n":                 "a@b",
		"Subject: x\r\n\r\nMessage-ID: <in.the.body@b>\r\n": "",
		"X-Message-ID: <a@b>\r\n\r\n":                       "",
		"Subject: long\r\n Message-ID: <folded@b>\r\n\r\n":  "",
		"":                  "",
		"Message-ID: a@b":   "a@b",
		"Message-ID:\r\n\r": "",
	} {
		if got := messageIDOf([]byte(header)); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
