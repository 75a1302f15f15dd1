// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"restante.example/maildrop"
)

// wrapped is a store with one of its answers changed. A field that is nil
// changes nothing.
type wrapped struct {
	maildrop.Store
	bench *bench

	begin    func(ctx context.Context, env *maildrop.Envelope, targets []maildrop.Target) error
	write    func(d *delivery, p []byte) []byte
	commit   func(d *delivery, ctx context.Context) []error
	abort    func(d *delivery)
	open     func(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error)
	info     func(s *snapshot, n int, info maildrop.Info) maildrop.Info
	message  func(s *snapshot, ctx context.Context, n int) (io.ReadCloser, error)
	length   func(s *snapshot) int
	content  func(data string) string // of each message, size included
	remove   func(s *snapshot, ctx context.Context, numbers []int) ([]maildrop.Outcome, error)
	token    func(s *snapshot) uint64
	revoke   func(s *snapshot)
	revoked  func(s *snapshot) <-chan struct{}
	close    func(s *snapshot) error
	addView  func(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error
	dropView func(ctx context.Context, id maildrop.ID, view maildrop.View) error
	views    func(ctx context.Context, id maildrop.ID) ([]maildrop.View, error)
	usage    func(ctx context.Context, id maildrop.ID) (int, int64, error)
	reset    func(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error
	restart  func() // before the office is restarted

	mu     sync.Mutex
	latest map[string]*snapshot // by maildrop and view
	notes  map[string]int
}

type delivery struct {
	maildrop.Delivery
	w       *wrapped
	env     maildrop.Envelope
	targets []maildrop.Target
	body    strings.Builder
}

func (w *wrapped) Deliver(ctx context.Context, env maildrop.Envelope, targets []maildrop.Target) (maildrop.Delivery, error) {
	d := &delivery{w: w, env: env, targets: append([]maildrop.Target(nil), targets...)}
	if w.begin != nil {
		if err := w.begin(ctx, &d.env, d.targets); err != nil {
			return nil, err
		}
	}
	inner, err := w.Store.Deliver(ctx, d.env, d.targets)
	if err != nil {
		return nil, err
	}
	d.Delivery = inner
	return d, nil
}

func (d *delivery) Write(p []byte) (int, error) {
	out := p
	if d.w.write != nil {
		out = d.w.write(d, p)
	}
	d.body.Write(p)
	if _, err := d.Delivery.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (d *delivery) Commit(ctx context.Context) []error {
	if d.w.commit != nil {
		return d.w.commit(d, ctx)
	}
	return d.Delivery.Commit(ctx)
}

func (d *delivery) Abort() {
	if d.w.abort != nil {
		d.w.abort(d)
		return
	}
	d.Delivery.Abort()
}

// again delivers the message once more, behind the suite's back.
func (d *delivery) again(ctx context.Context, env maildrop.Envelope, targets []maildrop.Target) []error {
	inner, err := d.w.Store.Deliver(ctx, env, targets)
	if err != nil {
		return []error{err}
	}
	if _, err := io.WriteString(inner, d.body.String()); err != nil {
		return []error{err}
	}
	return inner.Commit(ctx)
}

type snapshot struct {
	maildrop.Snapshot
	w    *wrapped
	id   maildrop.ID
	view maildrop.View
}

func key(id maildrop.ID, view maildrop.View) string { return string(id) + "/" + string(view) }

func (w *wrapped) Open(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.Snapshot, error) {
	openInner := w.Store.Open
	if w.open != nil {
		openInner = w.open
	}
	inner, err := openInner(ctx, id, view)
	if err != nil {
		return nil, err
	}
	s := &snapshot{Snapshot: inner, w: w, id: id, view: view}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.latest == nil {
		w.latest = make(map[string]*snapshot)
	}
	w.latest[key(id, view)] = s
	return s, nil
}

func (w *wrapped) latestOf(id maildrop.ID, view maildrop.View) *snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest[key(id, view)]
}

// note counts what a wrong store has to remember.
func (w *wrapped) note(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notes == nil {
		w.notes = make(map[string]int)
	}
	w.notes[what]++
	return w.notes[what]
}

func (s *snapshot) raw(ctx context.Context, n int) (string, error) {
	r, err := s.Snapshot.Message(ctx, n)
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

func (s *snapshot) Info(n int) maildrop.Info {
	if s.w.info == nil && s.w.content == nil {
		return s.Snapshot.Info(n)
	}
	info := s.Snapshot.Info(n)
	if s.w.content != nil {
		if data, err := s.raw(context.Background(), n); err == nil {
			info.Size = int64(len(s.w.content(data)))
		}
	}
	if s.w.info != nil {
		info = s.w.info(s, n, info)
	}
	return info
}

func (s *snapshot) Octets() int64 {
	if s.w.info == nil && s.w.content == nil && s.w.length == nil {
		return s.Snapshot.Octets()
	}
	var sum int64
	for n := 1; n <= s.Len(); n++ {
		sum += s.Info(n).Size
	}
	return sum
}

func (s *snapshot) Len() int {
	if s.w.length != nil {
		return s.w.length(s)
	}
	return s.Snapshot.Len()
}

func (s *snapshot) Message(ctx context.Context, n int) (io.ReadCloser, error) {
	if s.w.message != nil {
		return s.w.message(s, ctx, n)
	}
	if s.w.content == nil {
		return s.Snapshot.Message(ctx, n)
	}
	data, err := s.raw(ctx, n)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(s.w.content(data))), nil
}

func (s *snapshot) Remove(ctx context.Context, numbers []int) ([]maildrop.Outcome, error) {
	if s.w.remove != nil {
		return s.w.remove(s, ctx, numbers)
	}
	return s.Snapshot.Remove(ctx, numbers)
}

func (s *snapshot) Token() uint64 {
	if s.w.token != nil {
		return s.w.token(s)
	}
	return s.Snapshot.Token()
}

func (s *snapshot) Revoke() {
	if s.w.revoke != nil {
		s.w.revoke(s)
		return
	}
	s.Snapshot.Revoke()
}

func (s *snapshot) Revoked() <-chan struct{} {
	if s.w.revoked != nil {
		return s.w.revoked(s)
	}
	return s.Snapshot.Revoked()
}

func (s *snapshot) Close() error {
	if s.w.close != nil {
		return s.w.close(s)
	}
	return s.Snapshot.Close()
}

func (w *wrapped) AddView(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error {
	if w.addView != nil {
		return w.addView(ctx, id, view, since)
	}
	return w.Store.AddView(ctx, id, view, since)
}

func (w *wrapped) DropView(ctx context.Context, id maildrop.ID, view maildrop.View) error {
	if w.dropView != nil {
		return w.dropView(ctx, id, view)
	}
	return w.Store.DropView(ctx, id, view)
}

func (w *wrapped) ResetView(ctx context.Context, id maildrop.ID, view maildrop.View, since time.Time) error {
	if w.reset != nil {
		return w.reset(ctx, id, view, since)
	}
	return w.Store.(maildrop.ViewResetter).ResetView(ctx, id, view, since)
}

func (w *wrapped) Views(ctx context.Context, id maildrop.ID) ([]maildrop.View, error) {
	if w.views != nil {
		return w.views(ctx, id)
	}
	return w.Store.Views(ctx, id)
}

func (w *wrapped) Usage(ctx context.Context, id maildrop.ID) (int, int64, error) {
	if w.usage != nil {
		return w.usage(ctx, id)
	}
	return w.Store.Usage(ctx, id)
}
