// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"restante.example/pop3client"
)

// progressEvery is how many octets go by between two progress events.
const progressEvery = 256 << 10

// copyAll is io.CopyBuffer with errors of the reader and the writer told apart
// by the caller: the writer here never fails.
func copyAll(w io.Writer, r io.Reader, buf []byte) error {
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// retriever streams messages to the destinations' temporary places.
type retriever struct {
	*session
	filer    *filer
	buf      []byte
	messages int
	octets   int64
	told     int64
}

// retrieve gets all that is planned, while what came earlier is being filed.
// The error is that of the connection or, a *fatalError, of the journal.
func (s *session) retrieve(ctx context.Context) error {
	full, headers := s.wanted(false), s.wanted(true)
	if len(full)+len(headers) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := &retriever{session: s, filer: startFiler(ctx, s, cancel), buf: make([]byte, 64<<10)}
	err := g.full(ctx, full)
	if err == nil {
		err = g.headers(ctx, headers)
	}
	if fatal := g.filer.wait(); fatal != nil {
		return &fatalError{fatal}
	}
	if err == nil && g.filer.left {
		err = context.Cause(ctx)
	}
	return err
}

func index(rows []*row) map[int]*row {
	m := make(map[int]*row, len(rows))
	for _, w := range rows {
		m[w.number] = w
	}
	return m
}

func (g *retriever) full(ctx context.Context, rows []*row) error {
	byNumber := index(rows)
	var wants iter.Seq[pop3client.Want] = func(yield func(pop3client.Want) bool) {
		for _, w := range rows {
			if g.allDown() || !yield(pop3client.Want{Number: w.number, Size: w.announced}) {
				return
			}
		}
	}
	for m, err := range g.c.RetrAll(ctx, wants) {
		w := byNumber[m.Number]
		switch {
		case refused(err) && w.unlisted:
			w.absent = true
		case refused(err):
			g.fail(w, err)
		case err != nil:
			g.lost(ctx, w, false, err)
			return err
		default:
			w.retrieved = true
			if err := g.take(ctx, w, m); err != nil {
				g.lost(ctx, w, true, err)
				return err
			}
		}
	}
	return nil
}

func (g *retriever) headers(ctx context.Context, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	byNumber := index(rows)
	var numbers iter.Seq[int] = func(yield func(int) bool) {
		for _, w := range rows {
			if g.allDown() || !yield(w.number) {
				return
			}
		}
	}
	for m, err := range g.c.TopAll(ctx, numbers, 0) {
		w := byNumber[m.Number]
		switch {
		case refused(err):
			g.fail(w, err)
		case err != nil:
			g.lost(ctx, w, false, err)
			return err
		default:
			if err := g.take(ctx, w, m); err != nil {
				g.lost(ctx, w, true, err)
				return err
			}
		}
	}
	return nil
}

// lost blames a message for the end of the connection, unless we ended it, or
// others came before and nothing of this one: there are servers that close
// after each message.
func (g *retriever) lost(ctx context.Context, w *row, begun bool, err error) {
	switch {
	case w == nil, ctx.Err() != nil, !begun && g.messages > 0:
		return
	case errors.Is(err, pop3client.ErrPipelining) && g.messages == 0 && !g.opt.NoPipelining:
		return
	}
	g.broke(w, err)
}

// part is a message at one of its destinations.
type part struct {
	t      *target
	staged Staged
}

// arrival is a message that was retrieved whole.
type arrival struct {
	row             *row
	content, header Hash
	octets          int64
	parts           []part
}

func (a *arrival) discard() {
	for _, p := range a.parts {
		p.staged.Discard()
	}
}

// take streams one message to its destinations and hands it to the filer. The
// error is that of the connection.
func (g *retriever) take(ctx context.Context, w *row, m *pop3client.Message) error {
	a := &arrival{row: w}
	for _, t := range w.need {
		if g.isDown(t) {
			continue
		}
		staged, err := t.Stage(ctx, g.a.ID, w.announced)
		if err != nil {
			g.refuse(w, t, err)
			continue
		}
		a.parts = append(a.parts, part{t, staged})
	}
	id := newIdentity()
	for {
		n, err := g.read(m)
		id.Write(g.buf[:n]) // never fails
		a.parts = slices.DeleteFunc(a.parts, func(p part) bool {
			_, err := p.staged.Write(g.buf[:n])
			if err != nil {
				p.staged.Discard()
				g.refuse(w, p.t, err)
			}
			return err != nil
		})
		if err == io.EOF {
			break
		}
		if err == nil && len(a.parts) == 0 {
			err = m.Close() // nobody takes it
			if err == nil {
				g.fail(w, ErrNotFiled)
				return nil
			}
		}
		if err != nil {
			a.discard()
			return err
		}
	}
	a.content, a.header, a.octets = id.result()
	if len(a.parts) == 0 {
		g.fail(w, ErrNotFiled)
		return nil
	}
	// mail-safety.md, Collecting 4: some servers answer so when they cannot
	// read the message.
	if a.octets == 0 && w.announced != 0 {
		a.discard()
		g.fail(w, ErrEmpty)
		return nil
	}
	g.messages++
	g.filer.push(a)
	return nil
}

// read fills the buffer, so that a destination gets a small message in one
// piece, however it came.
func (g *retriever) read(m *pop3client.Message) (n int, err error) {
	for n < len(g.buf) && err == nil {
		var more int
		more, err = m.Read(g.buf[n:])
		n += more
		g.progress(int64(more))
	}
	return n, err
}

func (g *retriever) progress(n int64) {
	if g.octets += n; g.octets-g.told >= progressEvery {
		g.told = g.octets
		g.tell(Event{Kind: EventProgress, Messages: g.messages, Octets: g.octets})
	}
}

// refuse notes that a destination did not take a message.
func (r *run) refuse(w *row, t *target, err error) {
	r.strike(t, err)
	r.fail(w, fmt.Errorf("%s: %w", t.id, err))
}
