// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package destinations has the places where the collector files mail:
// Maildir, mbox, .eml files, a program, an LMTP server.
//
// Maildir, mbox and .eml file each message exactly once, because after a crash
// they can be looked at. A program cannot be asked, and LMTP has no question for
// it: when the process dies between the program's exit, or the server's answer,
// and the line in the journal, the message is handed over once more. A program
// finds the message's key in RESTANTE_KEY, the same both times.
package destinations

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"restante.example/collect"
	"restante.example/internal/fsx"
)

// Options of a destination.
type Options struct {
	// CRLF keeps the line ends of the wire. Otherwise files get LF, and a lone
	// CR stays.
	CRLF bool
	// Recipient is whom LMTP delivers to.
	Recipient string
	// Home stands for a leading ~ in a path.
	Home string
	// Timeout bounds each step of LMTP and how long a program may take.
	// Default: 5 minutes.
	Timeout time.Duration
	// Output gets what a program writes; nil drops it.
	Output io.Writer
	// Locks are shared by all destinations of a process: locks by fcntl do not
	// keep a process from itself. nil: there is no other destination.
	Locks *Locks
}

// Forms are how a destination is written.
const Forms = "maildir:PATH, mbox:PATH, eml:DIR, pipe:COMMAND, lmtp:HOST:PORT or lmtp:unix:PATH"

// ErrForm: the text does not name a destination.
var ErrForm = errors.New("a destination is " + Forms)

// Check reports whether spec names a destination, without touching it.
func Check(spec string) error {
	kind, rest, found := strings.Cut(spec, ":")
	if !found || rest == "" {
		return fmt.Errorf("%q: %w", spec, ErrForm)
	}
	switch kind {
	case "maildir", "mbox", "eml", "pipe":
		return nil
	case "lmtp":
		_, _, err := lmtpAddress(rest)
		return err
	}
	return fmt.Errorf("%q: %w", spec, ErrForm)
}

// Open returns the destination that spec names. It makes directories that are
// missing, for the owner alone. Close it if it is an io.Closer.
func Open(spec string, opt Options) (collect.Destination, error) {
	if err := Check(spec); err != nil {
		return nil, err
	}
	if opt.Timeout == 0 {
		opt.Timeout = 5 * time.Minute
	}
	if opt.Locks == nil {
		opt.Locks = new(Locks)
	}
	kind, rest, _ := strings.Cut(spec, ":")
	switch kind {
	case "pipe":
		return &pipe{id: spec, command: rest, opt: opt, wait: time.Second}, nil
	case "lmtp":
		return newLMTP(spec, rest, opt)
	}
	path, err := absolute(rest, opt.Home)
	if err != nil {
		return nil, err
	}
	id := kind + ":" + filepath.ToSlash(path)
	switch kind {
	case "mbox":
		if err := makeDirs(filepath.Dir(path)); err != nil {
			return nil, err
		}
		return newMbox(id, path, opt), nil
	case "eml":
		dir, err := openDir(path)
		if err != nil {
			return nil, err
		}
		return newEML(id, dir, opt), nil
	default:
		dir, err := openDir(path)
		if err != nil {
			return nil, err
		}
		return newMaildir(id, dir, opt)
	}
}

func absolute(path, home string) (string, error) {
	if rest, ok := strings.CutPrefix(filepath.ToSlash(path)+"/", "~/"); ok && home != "" {
		path = filepath.Join(home, rest)
	}
	return filepath.Abs(path)
}

func openDir(path string) (fsx.FS, error) {
	if err := makeDirs(path); err != nil {
		return nil, err
	}
	return fsx.Dir(path)
}

// makeDirs makes a directory and those above it that are missing, durably.
func makeDirs(path string) error {
	info, err := os.Stat(path)
	if err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if !errors.Is(err, os.ErrNotExist) || parent == path {
		return err
	}
	if err := makeDirs(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := fsx.Dir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.SyncDir("."), dir.Close())
}

// Broken returns a destination that stands for the one that spec names, which
// could not be opened: it takes nothing, and others beside it go on.
func Broken(spec string, opt Options, cause error) (collect.Destination, error) {
	d, err := Placeholder(spec, opt)
	if err != nil {
		return nil, err
	}
	return broken{d, cause}, nil
}

type broken struct {
	collect.Destination
	cause error
}

// Window implements collect.Destination.
func (broken) Window() int { return 1 << 10 }

// Recover implements collect.Destination: it fails, and so nothing else is
// asked of it.
func (d broken) Recover(context.Context, string, []*collect.Pending) error { return d.cause }

// Stage implements collect.Destination.
func (d broken) Stage(context.Context, string, int64) (collect.Staged, error) {
	return nil, fmt.Errorf("%w: %w", collect.ErrUnavailable, d.cause)
}

// Placeholder returns a destination that has the ID of the one that spec names
// and nothing else: for a dry run, which must not make any directory.
func Placeholder(spec string, opt Options) (collect.Destination, error) {
	if err := Check(spec); err != nil {
		return nil, err
	}
	kind, rest, _ := strings.Cut(spec, ":")
	if kind == "pipe" || kind == "lmtp" {
		return placeholder{id: spec}, nil
	}
	path, err := absolute(rest, opt.Home)
	return placeholder{id: kind + ":" + filepath.ToSlash(path)}, err
}

type placeholder struct {
	collect.Destination
	id string
}

func (p placeholder) ID() string { return p.id }
