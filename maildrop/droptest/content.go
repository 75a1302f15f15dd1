// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"fmt"
	"strings"
	"testing"

	"restante.example/maildrop"
)

// Corpus returns messages that have each tripped a mail program, by name, as
// a sender may hand them over. LongLine is the length of the longest line.
func Corpus(longLine int) map[string]string {
	const head = "From: a@example.org\r\nSubject: test\r\n"
	var octets strings.Builder
	for c := range 256 {
		octets.WriteByte(byte(c))
	}
	return map[string]string{
		"empty message":       "",
		"empty body":          head + "\r\n",
		"headers only":        head,
		"headers, no CRLF":    "Subject: no end",
		"body only":           "\r\nbody\r\n",
		"one dot":             ".",
		"dots":                ".first\r\n..second\r\n.\r\n\r\n.\r\n...\r\n. \r\n",
		"LF dot LF":           head + "\r\nbefore\n.\nafter\r\n.\nend\n.\r\n",
		"no final CRLF":       head + "\r\nlast line",
		"bare LF":             "Subject: unix\n\nline one\nline two\n",
		"bare LF at the end":  head + "\r\nline\n",
		"mixed line ends":     "a: b\r\nc: d\n\ne\rf\r\r\ng\n\r\nh\n\n\n",
		"lone CR":             head + "\r\nbefore\rafter\r\n",
		"CR at the end":       head + "\r\nlast\r",
		"CR CR LF at the end": head + "\r\nlast\r\r\n",
		"only CR":             "\r",
		"only LF":             "\n",
		"only CRLF":           "\r\n",
		"LF CR":               "a\n\rb\n\r",
		"CRs":                 strings.Repeat("\r", 5000),
		"LFs":                 strings.Repeat("\n", 5000),
		"NUL":                 head + "\r\nbefore\x00after\r\n\x00\r\n\x00",
		"8-bit":               "Subject: gr\xfc\xdfe\r\n\r\n\xff\xfe\x80 \xe2\x82\xac\r\n",
		"every octet":         head + "\r\n" + octets.String() + octets.String(),
		"From line":           "From a@example.org Mon Jan  1 00:00:00 2024\r\nA: b\r\n\r\nFrom here\r\n>From there\r\n",
		"blanks at ends":      head + "\r\ntrailing \t\r\n \r\n",
		"end of file mark":    head + "\r\n\x1a\r\nmore\r\n",
		"many lines":          head + "\r\n" + strings.Repeat("line\r\n", 20000),
		"many bare LF":        head + "\n" + strings.Repeat("line\n", 20000),
		"long line":           head + "\r\n" + strings.Repeat("x", longLine) + "\r\nafter\r\n",
		"long line, no end":   strings.Repeat(".", longLine),
		"long header":         "Subject: " + strings.Repeat("y", 70000) + "\r\n\r\n",
	}
}

func (cfg Config) longLine() int {
	if cfg.LongLine > 0 {
		return cfg.LongLine
	}
	return 1 << 20
}

const aPrefix = "Return-Path: <a@example.org>\r\nDelivered-To: b@example.org\r\n"

// checkCorpus delivers each message of the corpus, with a prefix and without.
func checkCorpus(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	for name, body := range Corpus(cfg.longLine()) {
		for _, prefix := range []string{"", aPrefix} {
			want := WireForm(prefix, body)
			w.roundTrip(d.id, fmt.Sprintf("%s, prefix %d octets", name, len(prefix)), want,
				maildrop.Envelope{}, []string{body}, maildrop.Target{Maildrop: d.id, Prefix: []byte(prefix)})
		}
	}
}

// roundTrip delivers one message into an empty maildrop, and removes it again.
func (w *world) roundTrip(id maildrop.ID, name, want string, env maildrop.Envelope, pieces []string, target maildrop.Target) {
	w.Helper()
	for _, err := range w.send(env, pieces, []maildrop.Target{target}) {
		if err != nil {
			w.Fatalf("%s: Commit: %v", name, err)
		}
	}
	snap, err := w.store.Open(w.ctx, id, maildrop.Classic)
	if err != nil {
		w.Fatalf("%s: Open: %v", name, err)
	}
	defer snap.Close()
	if snap.Len() != 1 {
		w.Fatalf("%s: %d messages, want the one", name, snap.Len())
	}
	got, err := readMessage(w.ctx, snap, 1)
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	if got != want {
		w.Errorf("%s: the stream gave %s", name, differ(got, want))
	}
	size := int64(len(want))
	messages, octets, err := w.store.Usage(w.ctx, id)
	if snap.Info(1).Size != size || snap.Octets() != size || octets != size || messages != 1 || err != nil {
		w.Errorf("%s: Info says %d octets, Octets %d, Usage %d in %d messages (%v); want %d", name,
			snap.Info(1).Size, snap.Octets(), octets, messages, err, size)
	}
	if outcomes, err := snap.Remove(w.ctx, []int{1}); err != nil {
		w.Fatalf("%s: Remove: %v, %v", name, outcomes, err)
	}
}

// checkPieces delivers messages cut into two Writes at every position, and
// octet by octet: a CR and its LF may come apart.
func checkPieces(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	target := maildrop.Target{Maildrop: d.id, Prefix: []byte(aPrefix)}
	for _, body := range []string{"a\r\nb\nc\r\r\n\n.\r\n", "\r\n\r", "\n\n", "x\r"} {
		want := WireForm(aPrefix, body)
		for i := range len(body) + 1 {
			pieces := []string{body[:i], body[i:]}
			w.roundTrip(d.id, fmt.Sprintf("%q", pieces), want, maildrop.Envelope{}, pieces, target)
		}
		pieces := strings.Split(body, "")
		w.roundTrip(d.id, fmt.Sprintf("%q", pieces), want, maildrop.Envelope{}, pieces, target)
		w.roundTrip(d.id, "empty Writes between", want, maildrop.Envelope{}, []string{"", body, "", ""}, target)
	}
}

// checkEnvelope shows that what is said about a message changes nothing in it:
// the store trusts the announced size for nothing, keeps the SMTPUTF8 mark, and
// takes any origin.
func checkEnvelope(t testing.TB, cfg Config) {
	w := newWorld(t, cfg, 1)
	d := w.drops[0]
	body := w.body("\r\nbody\r\n")
	for _, env := range []maildrop.Envelope{
		{Size: 1}, {Size: int64(len(body)) * 3}, {Size: -1},
		{Origin: "mx.example.org [192.0.2.1]"}, {Origin: strings.Repeat("o", 1000)},
		{Origin: "two\r\nlines\x00/../and more \xff"},
		{Transaction: strings.Repeat("t", 1000)}, {Transaction: "../a/b\x00\r\n"},
	} {
		w.roundTrip(d.id, fmt.Sprintf("%.60q", fmt.Sprint(env)), WireForm("", body), env, []string{body}, maildrop.Target{Maildrop: d.id})
	}
	for i := range 4 {
		w.tryDeliver(maildrop.Envelope{SMTPUTF8: i%2 == 0}, w.body("\r\nr\xc3\xa9sum\xc3\xa9\r\n"), d)
	}
	w.check() // it holds the mark against the model
	if w.h.Reopen != nil {
		w.reopen()
		w.check()
	}
}
