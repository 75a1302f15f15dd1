// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// TestGoSMTPDelivers: a client that shares no code with us, over TCP.
func TestGoSMTPDelivers(t *testing.T) {
	office := newOffice(func(op pop3mem.Op, id maildrop.ID) error {
		if op == pop3mem.OpStore && id == "bob" {
			return maildrop.ErrQuota
		}
		return nil
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(optionsFor(office, 1<<20))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Hello("client.example"))
	for _, ext := range []string{"PIPELINING", "ENHANCEDSTATUSCODES", "SIZE", "8BITMIME", "SMTPUTF8"} {
		if ok, _ := c.Extension(ext); !ok {
			t.Errorf("%s is not announced", ext)
		}
	}
	if size, ok := c.MaxMessageSize(); !ok || size != 1<<20 {
		t.Errorf("the size limit is announced as %d", size)
	}
	must(c.Mail("josé@example.net", &smtp.MailOptions{UTF8: true, Size: 100, Body: smtp.Body8BitMIME}))
	must(c.Rcpt("ana@example.org", nil))
	var refused *smtp.SMTPError
	if err := c.Rcpt("nobody@example.org", nil); !errors.As(err, &refused) ||
		refused.Code != 550 || refused.EnhancedCode != (smtp.EnhancedCode{5, 1, 1}) {
		t.Errorf("an unknown user: %v", err)
	}
	must(c.Rcpt("bob@example.org", nil))
	w, err := c.Data()
	must(err)
	body := "Subject: x\r\n\r\n.\r\n..dots\r\n" + strings.Repeat("x", 5000) + "\r\n"
	_, err = io.WriteString(w, body)
	must(err)
	taken, err := w.CloseWithLMTPResponse()
	if len(taken) != 1 || taken["ana@example.org"] == nil {
		t.Errorf("taken: %v", taken)
	}
	var some smtp.LMTPDataError
	if !errors.As(err, &some) || len(some) != 1 {
		t.Fatalf("not taken: %v", err)
	}
	if bob := some["bob@example.org"]; bob == nil || bob.Code != 452 || bob.EnhancedCode != (smtp.EnhancedCode{4, 2, 2}) {
		t.Errorf("bob was answered %v", bob)
	}
	must(c.Noop())
	must(c.Reset())
	must(c.Quit())
	m := office.Messages("ana")
	if len(m) != 1 || !m[0].SMTPUTF8 || m[0].Origin != "client.example [127.0.0.1]" ||
		m[0].Data != "Return-Path: <josé@example.net>\r\nDelivered-To: ana@example.org\r\n"+body {
		t.Errorf("stored %+v", m)
	}
	must(s.Shutdown(t.Context()))
	if err := <-served; err != ErrServerClosed {
		t.Errorf("Serve returned %v", err)
	}
}
