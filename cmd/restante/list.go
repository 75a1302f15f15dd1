// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/emersion/go-message/textproto"

	"restante.example/collect"
	"restante.example/collect/sqlitejournal"
	"restante.example/internal/accounts"
	"restante.example/internal/collector"
	"restante.example/pop3"
	"restante.example/pop3client"
)

// maxHeader is how many octets of a header are read for a listing.
const maxHeader = 256 << 10

// maxSkipped is how many octets of a header are passed over for the sake of the
// messages behind it: more than servers take in as a message.
const maxSkipped = 64 << 20

// A server without TOP refuses every message, and one may be refused because it is
// damaged: so many are tried before the first that comes.
const (
	triesUnannounced = 3
	triesAnnounced   = 20
)

// longHeaderError: the header of a message went on beyond maxSkipped.
type longHeaderError struct{ number int }

func (e *longHeaderError) Error() string {
	return fmt.Sprintf("message %d: a header without end", e.number)
}

// maxField is how many octets of a field are kept for a listing.
const maxField = 1 << 10

type listCommand struct {
	Account string `arg:"" optional:"" help:"The account."`

	serverFlags `group:"One server, without a file:"`
	placeFlags  `group:"General:"`
	JSON        bool `name:"json" group:"General:" help:"Show JSON, a line a message."`
}

// Help is shown below the flags.
func (*listCommand) Help() string { return "Example: restante list work" }

// listed is a message in the listing.
type listed struct {
	Number    int    `json:"number"`
	UID       string `json:"uid"`
	Date      string `json:"date"`
	From      string `json:"from"`
	Subject   string `json:"subject"`
	Size      int64  `json:"size"`
	Collected string `json:"collected"` // "yes", "no", "partly", or "unknown" while a collection is under way
}

// Run shows the messages on the server. It reads headers by TOP and changes
// nothing.
func (l *listCommand) Run(ctx context.Context, c *console) error {
	a, err := l.account(c)
	if err != nil {
		return err
	}
	state, err := l.state(c)
	if err != nil {
		return err
	}
	col := &collector.Collector{State: state, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	entries, err := col.Collected(ctx, a)
	underWay := errors.Is(err, sqlitejournal.ErrLocked)
	if underWay {
		c.warn("a collection is under way, so what was collected is not shown")
	} else if err != nil {
		return c.fail(exitIO, "the journal cannot be used: %v", err)
	}
	ask := &prompter{c: c, hold: func() {}, release: func() {}}
	var list []*listed
	err = a.Look(ctx, accounts.Source{Getenv: c.getenv, Single: true, Ask: ask.ask}, func(client *pop3client.Client) (err error) {
		list, err = look(ctx, client, entries)
		if long := (*longHeaderError)(nil); errors.As(err, &long) {
			c.warn("the header of message %s is too long, so those from there on are not shown", fmt.Sprint(long.number))
			return nil
		}
		if err == nil {
			// Nothing was changed, so the answer does not matter.
			_ = client.Quit(ctx)
		}
		return err
	})
	if err == nil {
		if underWay {
			for _, m := range list {
				m.Collected = "unknown"
			}
		}
		return l.show(c, list)
	}
	text, code := c.explain(a, err)
	return &exitError{code, a.Name + ": " + text}
}

func (l *listCommand) account(c *console) (*accounts.Account, error) {
	var names []string
	if l.Account != "" {
		names = []string{l.Account}
	}
	adHoc, err := l.adHoc(c, names)
	if err != nil {
		return nil, err
	}
	if adHoc {
		a, err := accounts.FromFlags(l.settings(), accounts.ToLook)
		if err != nil {
			return nil, c.fail(exitUsage, "%v", err)
		}
		return a, nil
	}
	if len(names) == 0 {
		return nil, c.fail(exitUsage, "name an account, or a server with --server")
	}
	list, err := l.choose(c, names)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// look asks for listing and headers.
func look(ctx context.Context, client *pop3client.Client, entries []collect.Entry) ([]*listed, error) {
	var list []*listed
	byNumber := make(map[int]*listed)
	var refusal *pop3.Error
	for row, err := range client.List(ctx) {
		if err != nil {
			return nil, err
		}
		if row.Number > 0 && byNumber[row.Number] == nil {
			m := &listed{Number: row.Number, Size: row.Size, Collected: "no"}
			byNumber[row.Number] = m
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *listed) int { return a.Number - b.Number })
	known := make(map[string][]collect.Entry)
	for _, e := range entries {
		known[e.UID] = append(known[e.UID], e)
	}
	for row, err := range client.UIDL(ctx) {
		if errors.As(err, &refusal) {
			break // a server without UIDL
		}
		if err != nil {
			return nil, err
		}
		if m := byNumber[row.Number]; m != nil {
			m.UID = pop3.Printable(row.UID)
			m.Collected = collected(known[row.UID], m.Size)
		}
	}
	return list, headers(ctx, client, list)
}

// headers asks for the headers, one at a time until the first comes: a server
// without TOP may hang up on a row of commands that it does not know.
func headers(ctx context.Context, client *pop3client.Client, list []*listed) error {
	caps, err := client.Capabilities(ctx)
	if err != nil {
		return err
	}
	tries := triesUnannounced
	if caps.Has(pop3.CapTop) {
		tries = triesAnnounced
	}
	var refusal *pop3.Error
	for came := false; !came; tries-- {
		if len(list) == 0 || tries == 0 {
			return nil
		}
		text, err := client.Top(ctx, list[0].Number, 0)
		if came = !errors.As(err, &refusal); came {
			if err == nil {
				err = list[0].read(text)
			}
			if err != nil {
				return err
			}
		}
		list = list[1:]
	}
	byNumber := make(map[int]*listed)
	for _, m := range list {
		byNumber[m.Number] = m
	}
	numbers := func(yield func(int) bool) {
		for _, m := range list {
			if !yield(m.Number) {
				return
			}
		}
	}
	for text, err := range client.TopAll(ctx, numbers, 0) { // RFC 1939 section 7, TOP
		if errors.As(err, &refusal) {
			continue
		}
		if err == nil {
			err = byNumber[text.Number].read(text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read takes the header from a reply to TOP. One that is too long is left empty:
// anybody may send such mail.
func (m *listed) read(text *pop3client.Message) error {
	data, err := io.ReadAll(io.LimitReader(text, maxHeader))
	if err != nil {
		return err
	}
	m.header(data) // all of it, where a server sends the whole message
	_, err = io.CopyN(io.Discard, text, maxSkipped)
	switch err {
	case io.EOF:
		return nil
	case nil:
		return &longHeaderError{m.Number}
	}
	return err
}

// collected says what the journal has of a message.
func collected(entries []collect.Entry, size int64) string {
	for _, e := range entries {
		if e.Announced >= 0 && e.Announced != size && !e.Fickle {
			continue
		}
		filed := 0
		for _, f := range e.Filings {
			if f.Filed {
				filed++
			}
		}
		switch {
		case e.Partial || filed > 0 && filed < len(e.Filings):
			return "partly"
		case filed > 0:
			return "yes"
		}
	}
	return "no"
}

// header takes date, sender and subject from a header. What cannot be
// understood is left empty: this is for people only.
func (m *listed) header(data []byte) {
	h, err := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return
	}
	words := new(mime.WordDecoder)
	decode := func(s string) string {
		if text, err := words.DecodeHeader(s); err == nil {
			s = text
		}
		return brief(strings.Join(strings.Fields(s), " "))
	}
	m.Subject = decode(h.Get("Subject"))
	m.From = decode(h.Get("From"))
	if from, err := mail.ParseAddress(h.Get("From")); err == nil {
		m.From = brief(from.Address)
		if from.Name != "" {
			m.From = brief(from.Name) + " <" + m.From + ">"
		}
	}
	m.Date = decode(h.Get("Date"))
	if date, err := mail.ParseDate(h.Get("Date")); err == nil {
		m.Date = date.Format("2006-01-02 15:04")
	}
}

// brief makes a text fit for a terminal and cuts it to maxField. The copy keeps
// no header in memory while the others are read.
func brief(s string) string {
	if len(s) > maxField {
		s = strings.ToValidUTF8(s[:maxField], "") + "…"
	}
	return strings.Clone(pop3.Printable(s))
}

func (l *listCommand) show(c *console, list []*listed) error {
	if l.JSON {
		out := json.NewEncoder(c.out)
		for _, m := range list {
			if err := out.Encode(m); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		c.say("There is no mail.")
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, c.text("NUMBER\tDATE\tFROM\tSUBJECT\tSIZE\tCOLLECTED"))
	answers := map[string]string{"yes": c.text("yes"), "no": c.text("no"), "partly": c.text("partly"), "unknown": "?"}
	for _, m := range list {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", m.Number, m.Date, short(m.From, 32), short(m.Subject, 48), octets(m.Size), answers[m.Collected])
	}
	return w.Flush()
}

// short cuts a text to n characters.
func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
