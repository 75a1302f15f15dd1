// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwdfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Load reads the file at a path. It says how it was when it was read.
func Load(path string) (*File, os.FileInfo, error) {
	// A pipe in its place must not hold up the server.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case !before.Mode().IsRegular():
		return nil, before, fmt.Errorf("%s is no file", path)
	case before.Mode().Perm()&0o002 != 0:
		return nil, before, fmt.Errorf("everybody may write to %s; chmod o-w %s mends it", path, path)
	}
	file, err := Parse(f)
	after, staterr := f.Stat()
	switch {
	case staterr != nil:
		return nil, before, staterr
	case !same(before, after):
		return nil, before, ErrChanging
	case err != nil:
		return nil, before, fmt.Errorf("%s: %w", path, err)
	}
	return file, after, nil
}

// Errors that only say that it is too early: the next look may find the file
// whole.
var (
	ErrChanging = errors.New("it is being written")
	// ErrSettling is for Use to return.
	ErrSettling = errors.New("it may still be being written")
)

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}

// Watch reads a file when it has changed. Its fields are not changed once it is
// used; its methods may be called by any number of goroutines.
type Watch struct {
	Path string
	// Use puts what was read in force. Where it fails, what was read is not in
	// force, and is read again at the next look.
	Use    func(context.Context, *File, os.FileInfo) error
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	looked atomic.Int64 // when, in Unix nanoseconds

	begin   sync.Once
	turn    chan struct{} // full while somebody is about the file; guards what follows
	used    os.FileInfo   // what is in force
	again   time.Time     // when it is read once more, or zero
	refused os.FileInfo   // what cannot be used as it is, and is not read again
	said    string        // the last trouble that was logged
}

const (
	// lookEvery is the least time between two looks at the file.
	lookEvery = time.Second
	// settle is how long after a change another one may have left the same size
	// and time; the file is read once more then.
	settle = 2 * time.Second
)

// Refresh looks whether the file has changed, unless somebody has within the
// last second, and waits for somebody who is about it. It returns when what was
// found is in force, or is logged as not to be used, or when ctx ends: a disk that
// hangs holds up one who looks, and not all who wait.
func (w *Watch) Refresh(ctx context.Context) {
	at, last := w.now().UnixNano(), w.looked.Load()
	if at-last >= int64(lookEvery) || at < last {
		if w.looked.CompareAndSwap(last, at) {
			w.Look(ctx)
			return
		}
	}
	if w.take(ctx) { // it is free, unless somebody is about the file
		w.leave()
	}
}

// take waits for the turn, and reports false where ctx ends before.
func (w *Watch) take(ctx context.Context) bool {
	w.begin.Do(func() { w.turn = make(chan struct{}, 1) })
	select {
	case w.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *Watch) leave() { <-w.turn }

func (w *Watch) now() time.Time {
	if w.Now != nil {
		return w.Now()
	}
	return time.Now()
}

// Look is Refresh at once.
func (w *Watch) Look(ctx context.Context) {
	if !w.take(ctx) {
		return
	}
	defer w.leave()
	err := w.look(ctx)
	switch {
	case err == nil:
		if w.said != "" {
			w.said = ""
			w.Logger.Info("the passwd-file is in force again", "file", w.Path)
		}
	case errors.Is(err, ErrChanging) || errors.Is(err, ErrSettling):
	case err.Error() != w.said:
		w.said = err.Error()
		w.Logger.Error("the passwd-file cannot be used; what it said last holds", "file", w.Path, "error", err)
	}
}

// look reads the file if it is another one than before.
func (w *Watch) look(ctx context.Context) error {
	info, err := os.Stat(w.Path)
	if err != nil {
		return err
	}
	once := w.used != nil && same(info, w.used)
	if once && (w.again.IsZero() || w.now().Before(w.again)) {
		w.refused = nil
		return nil
	}
	if w.refused != nil && same(info, w.refused) {
		return errors.New(w.said)
	}
	w.refused = nil
	file, info, err := Load(w.Path)
	if err != nil {
		var trouble *fs.PathError // of the disk, which may be over the next time
		if info != nil && !errors.Is(err, ErrChanging) && !errors.As(err, &trouble) && w.now().Sub(info.ModTime()) >= settle {
			w.refused = info
		}
		return err
	}
	// What has been read is put in force also for the client that has gone.
	if err := w.Use(context.WithoutCancel(ctx), file, info); err != nil {
		return err
	}
	w.used, w.again = info, time.Time{}
	if now := w.now(); !once && now.Sub(info.ModTime()) < settle {
		w.again = now.Add(settle)
	}
	return nil
}
