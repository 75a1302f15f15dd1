// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// randomMail makes a message like no other, in wire form. Programs that file it
// with other line ends can be recognised by its Message-ID.
func randomMail(rng *rand.Rand) []byte {
	var b bytes.Buffer
	id := rng.Uint64()
	fmt.Fprintf(&b, "From: <%s>\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <%x@example.net>\r\nSubject: %x\r\n\r\n", sender, id, id)
	size := 100 << rng.IntN(9)
	switch rng.IntN(200) {
	case 0:
		size = 2_000_000
	case 1, 2, 3, 4:
		size = 300_000
	}
	for b.Len() < size {
		line := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(200))
		if rng.IntN(5) == 0 {
			line = "." + line
		}
		b.WriteString(line + "\r\n")
	}
	return b.Bytes()
}

// added is what a delivery puts in front of a message.
func added(recipient string) string {
	return "Return-Path: <" + sender + ">\r\nDelivered-To: " + recipient + "\r\n"
}

// pause waits, or returns false when it is over.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// deliverer delivers one message after the other, to some of the ledgers.
func (t *torture) deliverer(ctx context.Context, rng *rand.Rand) {
	var c *conn
	for pause(ctx, time.Duration(rng.IntN(40))*time.Millisecond) {
		if c == nil {
			var err error
			if c, err = lmtpGreet("", t.office.lmtp); err != nil {
				t.report.count("LMTP connections that were refused or cut", 1)
				continue
			}
		}
		_ = c.SetDeadline(time.Now().Add(patience)) // a failure shows in what follows
		if err := t.deliver(c, rng); err != nil || rng.IntN(20) == 0 {
			if errors.Is(err, errNonsense) {
				t.report.broken("LMTP: %v", err)
			}
			c.hangUp()
			c = nil
		}
	}
	if c != nil {
		c.hangUp()
	}
}

// deliver is one transaction. Now and then the client hangs up in the middle.
func (t *torture) deliver(c *conn, rng *rand.Rand) error {
	var to []*ledger
	for range 1 + rng.IntN(3) {
		l := t.people[rng.IntN(len(t.people))]
		if !slices.Contains(to, l) && !l.full() {
			to = append(to, l)
		}
	}
	if len(to) == 0 {
		return nil
	}
	var names []string
	for _, l := range to {
		names = append(names, l.user)
	}
	taken, err := c.opening(names)
	if err != nil {
		return err
	}
	message := randomMail(rng)
	var sums []sum
	var open []*ledger
	for i, l := range to {
		if !taken[i] {
			t.report.count("recipients refused", 1)
			continue
		}
		s := sum(sha256.Sum256(append([]byte(added(l.user)), message...)))
		l.sending(s, len(message)+len(added(l.user)))
		sums, open = append(sums, s), append(open, l)
	}
	if len(open) == 0 {
		return nil
	}
	text, failing := stuff(message), t.report.failing()
	if rng.IntN(30) == 0 {
		t.report.count("deliveries cut in the middle", 1)
		_, _ = c.Write(text[:rng.IntN(len(text)-3)]) // whatever of it arrives
		return errors.New("hung up")
	}
	if _, err := c.Write(text); err != nil {
		return err
	}
	for i, l := range open {
		_, err := c.expect("250")
		var no refusal
		switch {
		case err == nil:
			l.answered(sums[i], true, false)
		case errors.As(err, &no) && len(no) > 3 && (no[0] == '4' || no[0] == '5') && no[3] == ' ':
			l.answered(sums[i], false, failing || t.report.failing())
			t.report.count("deliveries refused with "+string(no[:min(9, len(no))]), 1)
		case errors.As(err, &no):
			return fmt.Errorf("%w: %v", errNonsense, err)
		default:
			return err
		}
	}
	return nil
}

// caller collects for one user by sessions of all kinds.
func (t *torture) caller(ctx context.Context, l *ledger, rng *rand.Rand) {
	for pause(ctx, time.Duration(rng.IntN(80))*time.Millisecond) {
		err := t.session(l, rng, false)
		var no refusal
		switch {
		case err == nil:
		case errors.Is(err, errNonsense):
			t.report.broken("%s: %v", l.user, err)
		case errors.As(err, &no):
			t.report.count("sessions with a refusal", 1)
		default:
			t.report.count("sessions cut by the server", 1)
		}
	}
}

// session retrieves some messages, deletes some of those, and ends somehow. The
// one of an audit retrieves everything and deletes nothing.
func (t *torture) session(l *ledger, rng *rand.Rand, audit bool) error {
	address, secure := t.office.pop3, (*tls.Config)(nil)
	if !audit && rng.IntN(4) == 0 {
		address, secure = t.office.pop3s, t.office.tls
	}
	must := l.must()
	c, err := pop3SignIn("", address, l.user, secure)
	if err != nil {
		return err
	}
	defer c.hangUp()
	list, err := c.rows()
	if err != nil {
		return err
	}
	t.report.count("sessions", 1)
	sums := make([]sum, len(list))
	known := make([]bool, len(list))
	everything := audit || rng.IntN(4) == 0
	for i, m := range list {
		sums[i], known[i] = l.listed(m.uid)
		if !everything && rng.IntN(3) == 0 && known[i] {
			continue
		}
		s, octets, err := c.retrieve(m.number)
		var no refusal
		if errors.As(err, &no) && !audit {
			t.report.count("RETR refused: "+string(no[:min(60, len(no))]), 1)
			continue
		}
		if err != nil {
			return fmt.Errorf("RETR %d: %w", m.number, err)
		}
		l.retrieved(m.uid, s, m.size, octets)
		sums[i], known[i] = s, true
	}
	if !slices.Contains(known, false) {
		l.audit(sums, must)
	}
	if audit {
		_, err = c.say("QUIT", "+OK")
		return err
	}
	return t.leave(c, l, rng, list, sums, known)
}

// leave deletes some of what is known and ends the session in one of many ways.
func (t *torture) leave(c *conn, l *ledger, rng *rand.Rand, list []row, sums []sum, known []bool) error {
	var deleted []sum
	for i, m := range list {
		if !known[i] || rng.IntN(2) == 0 {
			continue
		}
		_, err := c.say(fmt.Sprint("DELE ", m.number), "+OK")
		var no refusal
		if errors.As(err, &no) {
			continue // it is damaged, the server thinks
		}
		if err != nil {
			return err
		}
		deleted = append(deleted, sums[i])
	}
	switch rng.IntN(8) {
	case 0:
		t.report.count("sessions that hung up after DELE", 1)
		return nil // without QUIT nothing is removed
	case 1:
		if _, err := c.say("RSET", "+OK"); err != nil {
			return err
		}
		t.report.count("sessions that took DELE back", 1)
		deleted = nil
	case 2:
		t.report.count("sessions that said half of QUIT", 1)
		_, err := c.Write([]byte("QUI"))
		return err
	case 3:
		t.report.count("sessions that did not wait for the reply to QUIT", 1)
		l.asked(deleted)
		_, err := c.Write([]byte("QUIT\r\n"))
		return err
	}
	l.asked(deleted)
	if _, err := c.say("QUIT", "+OK"); err != nil {
		return err
	}
	l.gone(deleted)
	return nil
}

// honest signs in again and again and measures how long that takes.
func (t *torture) honest(ctx context.Context, user string) {
	for pause(ctx, 50*time.Millisecond) {
		began, trouble := time.Now(), t.report.now()
		for {
			c, err := pop3SignIn("", t.office.pop3, user, nil)
			if err == nil {
				t.report.waited(trouble, time.Since(began))
				_, _ = c.say("STAT", "+OK") // the sign-in is what is measured
				_, _ = c.say("QUIT", "+OK")
				c.hangUp()
				break
			}
			if errors.Is(err, errNonsense) {
				t.report.broken("%s: %v", user, err)
			}
			if !pause(ctx, 20*time.Millisecond) {
				return
			}
		}
	}
}
