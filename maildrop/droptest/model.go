// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/maildrop"
)

// WireForm is the independent model of what a store makes of a message: the
// prefix as it is, then the body with a bare LF as CRLF and a final CRLF.
func WireForm(prefix, body string) string {
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\r\n")
	if body != "" && !strings.HasSuffix(body, "\r\n") {
		body += "\r\n"
	}
	return prefix + body
}

// world is a harness and the model of what its store must hold.
type world struct {
	testing.TB
	ctx    context.Context
	h      Harness
	store  maildrop.Store
	drops  []*drop
	serial int
	armed  bool  // a fault is to come
	fault  Fault // which
}

// drop is the model of one maildrop.
type drop struct {
	id      maildrop.ID
	letters []*letter // in order of arrival, removed ones too
	views   map[maildrop.View]*view
	byUID   map[string]*letter // every UID ever seen, and what it named
	byData  map[string]*letter
	// maybe is a view that an AddView that failed may have made.
	maybe     *view
	maybeName maildrop.View
}

// view is the model of a view: what it holds.
type view struct {
	holds map[*letter]bool
	// doubt holds what a removal that was not confirmed may have removed.
	doubt map[*letter]bool
	// removed holds what was surely removed from the view.
	removed map[*letter]bool
	// early holds what arrived before the view began, and is in doubt because
	// of a reset that failed: absent, it was not removed.
	early map[*letter]bool
	// uids are the UIDs that letters have in this view alone, after a reset.
	// What is in renew has a new one the next time that it is listed: surely,
	// where it is true.
	uids  map[*letter]string
	renew map[*letter]bool
	// going: a DropView that failed may have dropped it.
	going bool
	token uint64 // of the latest snapshot
}

// letter is the model of one message. No two letters of a world are equal, so
// that a message is known by its octets.
type letter struct {
	data  string // in wire form
	utf8  bool
	info  maildrop.Info // zero until it was seen
	doubt bool          // the delivery was not confirmed: whole or absent
	// refused: it must not be there, but a power cut may yet undo the undoing.
	refused bool
	damaged bool // it must not be given to its end
}

// newWorld makes a harness and its model, with some maildrops.
func newWorld(t testing.TB, cfg Config, drops int) *world {
	t.Helper()
	h := cfg.New(t)
	w := &world{TB: t, ctx: t.Context(), h: h, store: h.Store}
	t.Cleanup(w.end)
	for range drops {
		w.newDrop()
	}
	return w
}

// end frees the harness. Loops call it early: a check may make thousands.
func (w *world) end() {
	if w.h.Close != nil {
		w.h.Close()
	}
	w.h.Close = nil
}

func (w *world) newDrop() *drop {
	d := &drop{
		id:    w.h.NewMaildrop(),
		views: map[maildrop.View]*view{maildrop.Classic: newView()},
		byUID: make(map[string]*letter), byData: make(map[string]*letter),
	}
	w.drops = append(w.drops, d)
	return d
}

func newView() *view {
	return &view{holds: make(map[*letter]bool), doubt: make(map[*letter]bool), removed: make(map[*letter]bool),
		early: make(map[*letter]bool), uids: make(map[*letter]string), renew: make(map[*letter]bool)}
}

// body makes a message that no other letter of the world equals.
func (w *world) body(rest string) string {
	w.serial++
	return fmt.Sprintf("X-Serial: %d\r\n%s", w.serial, rest)
}

// deliver delivers a message in one go, and notes it in the model.
func (w *world) deliver(body string, drops ...*drop) {
	w.Helper()
	for i, err := range w.tryDeliver(maildrop.Envelope{}, body, drops...) {
		if err != nil {
			w.Fatalf("delivery to %s: %v", drops[i].id, err)
		}
	}
}

// tryDeliver is deliver where the answers may be errors.
func (w *world) tryDeliver(env maildrop.Envelope, body string, drops ...*drop) []error {
	w.Helper()
	var targets []maildrop.Target
	for _, d := range drops {
		targets = append(targets, maildrop.Target{Maildrop: d.id})
	}
	answers := w.send(env, []string{body}, targets)
	for i, d := range drops {
		d.arrive(w.letter("", body, env, answers[i]))
	}
	return answers
}

// letter models a message that was delivered with an answer.
func (w *world) letter(prefix, body string, env maildrop.Envelope, answer error) *letter {
	return &letter{
		data: WireForm(prefix, body), utf8: env.SMTPUTF8,
		doubt: answer != nil && w.lost(), refused: answer != nil && !w.lost(),
	}
}

// send runs one delivery and returns its answers, one per target.
func (w *world) send(env maildrop.Envelope, pieces []string, targets []maildrop.Target) []error {
	w.Helper()
	del, err := w.store.Deliver(w.ctx, env, targets)
	if err != nil {
		if del != nil {
			w.Errorf("Deliver answered both a delivery and %v", err)
		}
		return slices.Repeat([]error{err}, len(targets))
	}
	defer del.Abort()
	for _, p := range pieces {
		n, err := io.WriteString(del, p)
		if (n < len(p)) != (err != nil) {
			w.Errorf("Write took %d of %d octets and answered %v", n, len(p), err)
		}
		if err != nil {
			break
		}
	}
	answers := del.Commit(w.ctx)
	if len(answers) != len(targets) {
		w.Errorf("Commit gave %d answers for %d targets", len(answers), len(targets))
		return slices.Repeat([]error{errors.New("no answer")}, len(targets))
	}
	return answers
}

// arrive notes a letter at the end of a maildrop.
func (d *drop) arrive(l *letter) {
	d.letters = append(d.letters, l)
	d.byData[l.data] = l
	if !l.refused {
		d.show(l, true)
	}
}

// show puts a letter into all views, or takes it from them.
func (d *drop) show(l *letter, in bool) {
	for _, v := range d.views {
		if in {
			v.holds[l] = true
		} else {
			delete(v.holds, l)
		}
	}
}

// restarted notes that the power was cut: a letter that was refused may have
// come back whole, if what undid it was not flushed.
func (d *drop) restarted() {
	for _, l := range d.letters {
		if l.refused {
			l.refused, l.doubt = false, true
			d.show(l, true)
		}
	}
}

// in returns what a view must hold, in order of arrival.
func (d *drop) in(v *view) []*letter {
	var held []*letter
	for _, l := range d.letters {
		if v.holds[l] {
			held = append(held, l)
		}
	}
	return held
}

// held reports whether any view holds a letter.
func (d *drop) held(l *letter) bool {
	for _, v := range d.views {
		if v.holds[l] {
			return true
		}
	}
	return false
}

// open opens a view, and holds what it lists against the model.
func (w *world) open(d *drop, name maildrop.View) *session {
	w.Helper()
	s, err := w.tryOpen(d, name)
	if err != nil {
		w.Fatalf("Open of view %q of %s: %v", name, d.id, err)
	}
	return s
}

func (w *world) tryOpen(d *drop, name maildrop.View) (*session, error) {
	w.Helper()
	snap, err := w.store.Open(w.ctx, d.id, name)
	if err != nil {
		return nil, err
	}
	v := d.views[name]
	if v == nil {
		w.Fatalf("Open of view %q of %s, which is not there, answered no error", name, d.id)
	}
	if snap.Token() <= v.token {
		w.Errorf("view %q of %s: token %d after %d; the later snapshot must have the greater", name, d.id, snap.Token(), v.token)
	}
	v.token = snap.Token()
	s := &session{w: w, d: d, name: name, v: v, Snapshot: snap}
	s.expect()
	return s, nil
}

// check holds the whole store against the model: views, listings, octets,
// UIDs, order, usage. What was in doubt is settled by what is seen.
func (w *world) check() {
	w.Helper()
	for _, d := range w.drops {
		w.checkDrop(d)
	}
}

func (w *world) checkDrop(d *drop) {
	w.Helper()
	names, err := w.store.Views(w.ctx, d.id)
	if err != nil {
		w.Fatalf("Views of %s: %v", d.id, err)
	}
	d.settleViews(names)
	if want := slices.Sorted(maps.Keys(d.views)); !slices.Equal(names, want) {
		w.Fatalf("Views of %s: %q, want %q", d.id, names, want)
	}
	for _, name := range names {
		s := w.open(d, name)
		s.readAll()
		s.close()
	}
	messages, octets, err := w.store.Usage(w.ctx, d.id)
	if err != nil {
		w.Fatalf("Usage of %s: %v", d.id, err)
	}
	wantMessages, wantOctets := d.usage()
	if messages != wantMessages || octets != wantOctets {
		w.Errorf("Usage of %s: %d messages, %d octets; want %d and %d", d.id, messages, octets, wantMessages, wantOctets)
	}
}

func (d *drop) usage() (messages int, octets int64) {
	for _, l := range d.letters {
		if d.held(l) {
			messages++
			octets += int64(len(l.data))
		}
	}
	return messages, octets
}

// settleViews decides whether the views in doubt are there.
func (d *drop) settleViews(names []maildrop.View) {
	if d.maybe != nil && slices.Contains(names, d.maybeName) {
		d.views[d.maybeName] = d.maybe
	}
	d.maybe = nil
	for name, v := range d.views {
		if v.going && !slices.Contains(names, name) {
			delete(d.views, name)
		}
		v.going = false
	}
}

// reopen restarts the store in order.
func (w *world) reopen() {
	w.store = w.h.Reopen()
}

// addView adds a view and notes it.
func (w *world) addView(d *drop, name maildrop.View, since time.Time) error {
	v := newView()
	for _, l := range d.letters {
		if d.held(l) && (since.IsZero() || !l.info.Arrived.Before(since)) {
			v.holds[l] = true
		}
	}
	err := w.store.AddView(w.ctx, d.id, name, since)
	switch {
	case err == nil && d.views[name] != nil:
		w.Errorf("AddView %q of %s, which is there, answered no error", name, d.id)
	case err == nil:
		d.views[name] = v
	case d.views[name] == nil:
		d.maybe, d.maybeName = v, name
	}
	return err
}

// dropView drops a view and notes it.
func (w *world) dropView(d *drop, name maildrop.View) error {
	err := w.store.DropView(w.ctx, d.id, name)
	v := d.views[name]
	switch {
	case err == nil && v == nil:
		w.Errorf("DropView %q of %s, which is not there, answered no error", name, d.id)
	case err == nil && len(d.views) == 1:
		w.Fatalf("DropView of the last view of %s answered no error", d.id)
	case err == nil:
		delete(d.views, name)
	case v != nil && len(d.views) > 1:
		v.going = true
	}
	return err
}

// noTime as AddView's since means all messages.
var noTime time.Time

// quote shows octets, shortened.
func quote(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q... (%d octets)", s[:120], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// differ says where two messages differ first.
func differ(got, want string) string {
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	from := max(0, n-20)
	return fmt.Sprintf("%d octets, want %d; from octet %d on %s, want %s", len(got), len(want), n, quote(got[from:]), quote(want[from:]))
}
