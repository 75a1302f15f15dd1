// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"

	"restante.example/collect"
	"restante.example/internal/accounts"
	"restante.example/internal/collector"
	"restante.example/pop3"
)

// patience is how long a run that was stopped may take to end before it says why.
const patience = time.Second

// redraw is how often a moving line is drawn at most.
const redraw = 100 * time.Millisecond

// maxReasons is how many different reasons an account may have for which messages
// are counted. What has another one is told each time.
const maxReasons = 100

// reporter shows what happens: on a terminal a line per account that moves,
// elsewhere plain lines, or JSON.
type reporter struct {
	c     *console
	quiet bool
	json  *json.Encoder
	tty   io.Writer // nil without a moving line
	width int

	mu     sync.Mutex
	order  []string
	lines  map[string]*progress
	told   map[string]map[string]*reason // by account and text
	drawn  int                           // lines on the screen that will be drawn over
	last   time.Time
	held   bool
	failed error // of standard output
}

// progress is how far an account is.
type progress struct {
	messages, filed int
	octets, got     int64
	begun           time.Time
	active          bool
	over            bool
}

// reason is why messages are left on the server.
type reason struct {
	first int // the message that was told of
	more  int
}

func newReporter(c *console, quiet, asJSON bool, list []*accounts.Account) *reporter {
	r := &reporter{c: c, quiet: quiet, lines: make(map[string]*progress), told: make(map[string]map[string]*reason)}
	for _, a := range list {
		r.order = append(r.order, a.Name)
		r.lines[a.Name] = new(progress)
		r.told[a.Name] = make(map[string]*reason)
	}
	if asJSON {
		r.json = json.NewEncoder(c.out)
		r.quiet = true
	}
	if f, ok := c.err.(*os.File); ok && !r.quiet && term.IsTerminal(int(f.Fd())) && c.getenv("TERM") != "dumb" {
		r.tty, r.width = f, 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			r.width = width
		}
	}
	return r
}

// jsonEvent is a line of --json.
type jsonEvent struct {
	Time     time.Time `json:"time"`
	Account  string    `json:"account"`
	Event    string    `json:"event"`
	Number   int       `json:"number,omitempty"`
	UID      string    `json:"uid,omitempty"`
	Size     int64     `json:"size,omitempty"`
	Messages int       `json:"messages,omitempty"`
	Octets   int64     `json:"octets,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// jsonDone is the last line of an account.
type jsonDone struct {
	Time     time.Time `json:"time"`
	Account  string    `json:"account"`
	Event    string    `json:"event"`
	Offered  int       `json:"offered"`
	Filed    int       `json:"filed"`
	Octets   int64     `json:"octets"`
	Known    int       `json:"known"`
	TooLarge int       `json:"too_large"`
	Deleted  int       `json:"deleted"`
	Left     int       `json:"left"`
	Would    int       `json:"would_collect,omitempty"`
	More     bool      `json:"more,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
	Status   int       `json:"status"`
	Error    string    `json:"error,omitempty"`
}

// event takes an event of an account.
func (r *reporter) event(account string, e collect.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.json != nil {
		if e.Kind == collect.EventProgress {
			return
		}
		line := jsonEvent{
			Time: time.Now(), Account: account, Event: string(e.Kind), Number: e.Number, UID: pop3.Printable(e.UID), Size: e.Size,
			Messages: e.Messages, Octets: e.Octets,
		}
		if e.Err != nil {
			line.Error = collector.Words(e.Err)
		}
		r.encode(line)
		return
	}
	p := r.lines[account]
	switch e.Kind {
	case collect.EventListed:
		*p = progress{messages: e.Messages, octets: e.Octets, begun: time.Now(), active: e.Messages > 0}
	case collect.EventProgress:
		p.got = e.Octets
	case collect.EventFiled:
		p.filed++
	case collect.EventProblem:
		if r.again(account, e) {
			break
		}
		if errors.Is(e.Err, pop3.CodeUTF8) {
			r.above(r.c.text("%s: message %s is left on the server: it is in UTF-8, and the server does not offer to send it so", account, fmt.Sprint(e.Number)), true)
			break
		}
		r.above(r.c.text("%s: message %s is left on the server: %s", account, fmt.Sprint(e.Number), collector.Words(e.Err)), true)
	case collect.EventWould:
		r.above(r.c.text("%s: would collect message %s, %s", account, fmt.Sprint(e.Number), octets(e.Size)), false)
	}
	if time.Since(r.last) >= redraw {
		r.draw()
	}
}

// again counts a message that is left for a reason that was told before. A
// destination that is down has the same one for all of them.
func (r *reporter) again(account string, e collect.Event) bool {
	told, text := r.told[account], collector.Words(e.Err)
	if known := told[text]; known != nil {
		known.more++
		return true
	}
	if len(told) < maxReasons {
		told[text] = &reason{first: e.Number}
	}
	return false
}

// others tells how many messages were counted and not told of.
func (r *reporter) others(account string) {
	list := slices.Collect(maps.Values(r.told[account]))
	slices.SortFunc(list, func(a, b *reason) int { return a.first - b.first })
	for _, one := range list {
		if one.more > 0 {
			first := fmt.Sprint(one.first)
			r.above(plural(one.more,
				r.c.text("%s: 1 more message is left on the server with the same reason as message %s", account, first),
				r.c.text("%s: %d more messages are left on the server with the same reason as message %s", account, one.more, first)), true)
		}
	}
}

func (r *reporter) encode(line any) {
	if err := r.json.Encode(line); err != nil && r.failed == nil {
		r.failed = err
	}
}

// above writes a line that stays, above those that move.
func (r *reporter) above(line string, bad bool) {
	if r.quiet && !bad {
		return
	}
	r.erase()
	out := r.c.out
	if bad {
		out = r.c.err
	}
	fmt.Fprintln(out, line)
	r.draw()
}

// erase takes the moving lines from the screen.
func (r *reporter) erase() {
	for ; r.drawn > 0; r.drawn-- {
		fmt.Fprint(r.tty, "\x1b[1A\x1b[2K")
	}
}

// draw draws a line for each account that is at work.
func (r *reporter) draw() {
	if r.tty == nil || r.held {
		return
	}
	r.erase()
	r.last = time.Now()
	for _, name := range r.order {
		p := r.lines[name]
		if !p.active {
			continue
		}
		line := []rune(r.line(name, p))
		fmt.Fprintln(r.tty, string(line[:min(len(line), r.width-1)]))
		r.drawn++
	}
}

// line shows messages, octets, speed and the time that is left.
func (r *reporter) line(name string, p *progress) string {
	took := time.Since(p.begun)
	speed := int64(float64(p.got) / max(took.Seconds(), 0.001))
	left := "?"
	if p.got > 0 && p.octets > p.got && took > time.Second {
		left = minutes(time.Duration(float64(took) * float64(p.octets-p.got) / float64(p.got)))
	}
	return r.c.text("%s: %s of %s messages, %s of %s, %s/s, %s left", name, fmt.Sprint(p.filed), fmt.Sprint(p.messages),
		octets(p.got), octets(max(p.octets, p.got)), octets(speed), left)
}

// done shows the result of an account and returns its exit status.
func (r *reporter) done(a *accounts.Account, report *collect.Report, err error) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[a.Name].active, r.lines[a.Name].over = false, true
	code, text := incomplete(report), ""
	if err != nil {
		text, code = r.c.explain(a, err)
	}
	if r.json != nil {
		line := jsonDone{
			Time: time.Now(), Account: a.Name, Event: "done", Offered: report.Offered, Filed: report.Filed, Octets: report.FiledOctets,
			Known: report.Known, TooLarge: report.TooLarge, Deleted: report.Deleted, Left: report.Left, Would: report.Would,
			More: report.More, Status: code, Error: text,
		}
		for _, w := range report.Warnings {
			line.Warnings = append(line.Warnings, collector.Words(w))
		}
		r.encode(line)
		return code
	}
	r.others(a.Name)
	for _, w := range report.Warnings {
		if text := collector.Words(w); r.told[a.Name][text] == nil {
			r.above(r.c.text("%s: note: %s", a.Name, text), true)
		}
	}
	if err != nil {
		r.above(a.Name+": "+text, true)
	}
	if err == nil && report.Left == 0 || report.Filed > 0 || report.Deleted > 0 || report.Would > 0 {
		r.above(r.summary(a, report), false)
	}
	if report.Left > 0 && err == nil {
		r.above(plural(report.Left,
			r.c.text("%s: 1 message could not be collected and is still on the server; the next run tries again", a.Name),
			r.c.text("%s: %d messages could not be collected and are still on the server; the next run tries again", a.Name, report.Left)), true)
	}
	return code
}

func (r *reporter) summary(a *accounts.Account, report *collect.Report) string {
	switch {
	case report.Would > 0:
		return plural(report.Would, r.c.text("%s: would collect 1 message; nothing was changed", a.Name),
			r.c.text("%s: would collect %d messages; nothing was changed", a.Name, report.Would))
	case report.Filed == 0 && report.Deleted == 0:
		return plural(report.Offered, r.c.text("%s: no new mail (1 message on the server)", a.Name),
			r.c.text("%s: no new mail (%d messages on the server)", a.Name, report.Offered))
	}
	size := octets(report.FiledOctets)
	text := plural(report.Filed, r.c.text("%s: collected 1 message, %s", a.Name, size), r.c.text("%s: collected %d messages, %s", a.Name, report.Filed, size))
	if n := report.Deleted; n > 0 {
		text += plural(n, r.c.text("; deleted 1 on the server"), r.c.text("; deleted %d on the server", n))
	}
	if n := report.TooLarge; n > 0 {
		text += plural(n, r.c.text("; left 1 that is too large"), r.c.text("; left %d that are too large", n))
	}
	if report.More {
		text += r.c.text("; there may be more after %s", minutes(report.LoginDelay))
	}
	return text
}

// awaitStop says what is waited for when ctx has ended and the accounts, which
// close settled, have not.
func (r *reporter) awaitStop(ctx context.Context, settled <-chan struct{}) {
	select {
	case <-settled:
		return
	case <-ctx.Done():
	}
	select {
	case <-settled:
		return
	case <-time.After(patience):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.order {
		if !r.lines[name].over {
			r.above(r.c.text("%s: stopping when the message that is being filed is filed; a second signal ends it at once", name), true)
		}
	}
}

// hold keeps the moving lines away while somebody types.
func (r *reporter) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.erase()
	r.held = true
}

func (r *reporter) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = false
}

// end takes the moving lines away. The error is that of standard output, which
// has been told.
func (r *reporter) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.erase()
	if r.failed != nil {
		r.c.warn("restante: %v", r.failed)
	}
	return r.failed
}

// octets shows a size as people read it.
func octets(n int64) string {
	switch {
	case n < 0:
		return "?"
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
