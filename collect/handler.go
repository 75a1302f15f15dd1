// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// Handler takes one message, which has been received whole. body is in wire
// form (CRLF line ends) and valid until Handle returns.
//
// nil means: safe, the message may be deleted. Any error leaves the message on
// the server, and the next Run hands it over again with the same Message.Key;
// an error that is ErrUnavailable ends the trying for this Run. When the
// process dies after Handle returned nil and before that is written down, the
// message comes again: remember the Key with the work, and skip what is there.
//
// Handle is called for one message at a time, and should return soon after ctx
// is cancelled.
type Handler interface {
	Handle(ctx context.Context, m Message, body io.ReadSeeker) error
}

// HandlerFunc returns a Destination that calls f; see Handler.
func HandlerFunc(id string, f func(ctx context.Context, m Message, body io.ReadSeeker) error) Destination {
	return &handler{id: id, f: f}
}

// HandlerDestination returns a Destination that calls h; see Handler.
func HandlerDestination(id string, h Handler) Destination {
	return &handler{id: id, f: h.Handle}
}

type handler struct {
	id string
	f  func(context.Context, Message, io.ReadSeeker) error
}

func (h *handler) ID() string  { return h.id }
func (h *handler) Window() int { return 1 }

// Recover implements Destination: a handler cannot be asked, so what is not
// known to be handled is handed over again.
func (h *handler) Recover(context.Context, string, []*Pending) error { return nil }

func (h *handler) Stage(context.Context, string, int64) (Staged, error) { return NewSpool(), nil }

func (h *handler) Prepare(_ context.Context, items []*Item) {
	for _, it := range items {
		it.Name = it.Message.Key
	}
}

func (h *handler) File(ctx context.Context, items []*Item) {
	for _, it := range items {
		spool := it.Staged.(*Spool)
		body, err := spool.Reader()
		if err == nil {
			err = h.f(ctx, it.Message, body)
		}
		it.Err = err
		spool.Discard()
	}
}

// spoolMemory is how many octets of a message a Spool holds in memory.
const spoolMemory = 16 << 10

// Spool is a Staged for destinations that take a message in one go: it holds
// a small one in memory and a large one in a temporary file, which nobody else
// can read and which is gone when the process is, where the system allows that.
type Spool struct {
	small bytes.Buffer
	file  *os.File
	err   error
}

// NewSpool returns an empty Spool. Discard releases what it holds.
func NewSpool() *Spool { return new(Spool) }

// Write implements Staged.
func (s *Spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.file == nil && s.small.Len()+len(p) <= spoolMemory {
		return s.small.Write(p)
	}
	if s.file == nil {
		if s.file, s.err = os.CreateTemp("", "restante-*.spool"); s.err != nil {
			return 0, s.err
		}
		// An open file without a name ends with the process. Windows does not
		// allow that; there it is removed by Discard.
		_ = os.Remove(s.file.Name())
		if _, s.err = s.file.Write(s.small.Bytes()); s.err != nil {
			return 0, s.err
		}
		s.small = bytes.Buffer{}
	}
	n, err := s.file.Write(p)
	s.err = err
	return n, err
}

// Reader returns the message from its beginning, until Discard.
func (s *Spool) Reader() (io.ReadSeeker, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.file == nil {
		return bytes.NewReader(s.small.Bytes()), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return s.file, nil
}

// Discard implements Staged.
func (s *Spool) Discard() {
	if s.file != nil {
		// It is temporary: what stays behind is the system's to clean up.
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
	s.small, s.file, s.err = bytes.Buffer{}, nil, errors.New("collect: the message was discarded")
}
