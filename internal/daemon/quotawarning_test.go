// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	"restante.example/internal/config"
)

// A user is warned at 90% of the quota, and again only after 80%.
func TestQuotaWarning(t *testing.T) {
	d := newDeviceTest(t)
	sweep := func(all bool, want int) {
		t.Helper()
		if err := d.server.sweep(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		d.onDisk(want)
	}
	remove := func(there, n int) {
		t.Helper()
		p := d.signIn("secret", there)
		for i := range n {
			p.say(fmt.Sprintf("DELE %d\r\n", i+1))
			p.expect("+OK")
		}
		p.say("QUIT\r\n")
		if _, err := io.Copy(io.Discard, p.in); err != nil {
			t.Fatal(err)
		}
		d.onDisk(there - n)
	}
	d.call(OpUserQuota, QuotaArgs{Name: "ana", Messages: new(10)}, nil)
	d.deliver(9)
	sweep(true, 9) // not unless it is wanted
	next := *d.server.config.Load()
	next.Delivery.QuotaWarning = true
	if err := d.server.Reload(func() (*config.Config, error) { return &next, nil }); err != nil {
		t.Fatal(err)
	}
	sweep(false, 9) // nothing has come since
	sweep(true, 10)
	d.deliver(1) // is over the quota, and warns of nothing
	sweep(true, 10)
	remove(10, 2) // 8 of 10: not below 80%
	sweep(false, 8)
	d.deliver(1)
	sweep(false, 9)
	remove(9, 3)
	sweep(false, 6)
	d.deliver(2)
	sweep(false, 8)
	d.deliver(1)
	sweep(false, 10)
	sweep(false, 10)

	// What is full is warned over the quota, once.
	remove(10, 10)
	sweep(false, 0)
	d.deliver(10)
	sweep(false, 11)
	d.deliver(1)
	sweep(true, 11)

	p := d.signIn("secret", 11)
	p.say("RETR 11\r\n")
	p.expect("+OK")
	var text strings.Builder
	for l := line(p); l != ".\r\n"; l = line(p) {
		text.WriteString(l)
	}
	m, err := mail.ReadMessage(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil || !strings.Contains(string(body), "100% full") || !strings.Contains(string(body), "al 100% de su capacidad") {
		t.Errorf("the message says %q, %v", body, err)
	}
	if m.Header.Get("Return-Path") != "<>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("the header is %v", m.Header)
	}
}

func TestWarningIsAMessage(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for name, to := range map[string]string{"ana": "ana@host.example", "u1@example.org": "u1@example.org", "josé@example.org": "undisclosed-recipients:;"} {
		m, err := mail.ReadMessage(strings.NewReader(warning("host.example", name, 93, now)))
		if err != nil {
			t.Fatal(err)
		}
		if at, err := m.Header.Date(); err != nil || !at.Equal(now) || m.Header.Get("To") != to {
			t.Errorf("of %v, %v, to %s", at, err, m.Header.Get("To"))
		}
		if s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || !strings.HasSuffix(s, "Su buzón está casi lleno") {
			t.Errorf("subject %q, %v", s, err)
		}
	}
}
