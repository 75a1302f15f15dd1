// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"restante.example/collect"
	"restante.example/pop3"
)

// pipe hands each message to a program on its standard input. Status 0 means
// that the program has it; everything else leaves it on the server.
type pipe struct {
	id      string
	command string
	opt     Options
	wait    time.Duration // for the output of a program that has ended
	buf     []byte
}

var _ collect.Destination = (*pipe)(nil)

func (d *pipe) ID() string { return d.id }

// Window is one: a program that has run cannot be asked whether it did, so
// its end is written down before the next one starts.
func (d *pipe) Window() int { return 1 }

// Recover implements collect.Destination; see the package's comment.
func (d *pipe) Recover(context.Context, string, []*collect.Pending) error { return nil }

// Stage implements collect.Destination.
func (d *pipe) Stage(context.Context, string, int64) (collect.Staged, error) {
	return newConverted(d.opt.CRLF, &d.buf), nil
}

// Prepare implements collect.Destination.
func (d *pipe) Prepare(_ context.Context, items []*collect.Item) {
	for _, it := range items {
		it.Name = it.Message.Key
		it.Err = it.Staged.(*converted).finish()
	}
}

// File implements collect.Destination.
func (d *pipe) File(ctx context.Context, items []*collect.Item) {
	for _, it := range items {
		it.Err = d.run(ctx, it)
		it.Staged.Discard()
	}
}

func (d *pipe) run(ctx context.Context, it *collect.Item) error {
	body, err := it.Staged.(*converted).Reader()
	if err != nil {
		return err
	}
	// A program that has begun is let finish, also when we are told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opt.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", d.command)
	if runtime.GOOS == "windows" {
		cmd = exec.CommandContext(ctx, "cmd", "/C", d.command)
	}
	ownGroup(cmd)
	cmd.WaitDelay = d.wait
	var said tail
	cmd.Stdin, cmd.Stderr, cmd.Stdout = body, &said, d.opt.Output
	if d.opt.Output != nil {
		cmd.Stderr = io.MultiWriter(&said, d.opt.Output)
	}
	cmd.Env = append(withoutPasswords(os.Environ()), "RESTANTE_KEY="+it.Message.Key, "RESTANTE_ACCOUNT="+it.Message.Account)
	err = cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() {
		return nil // in the second case what it started holds its output
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the program took longer than %v", d.opt.Timeout)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		// The program may end well without having read all of it.
		return err
	}
	err = fmt.Errorf("the program ended with %s%s", statusName(exit), said.text())
	if code := exit.ExitCode(); code == 126 || code == 127 { // the shell: cannot be run, not found
		return fmt.Errorf("%w: %w", collect.ErrUnavailable, err)
	}
	return err
}

// withoutPasswords takes out the passwords of accounts, which are for restante
// alone: RESTANTE_PASSWORD and RESTANTE_PASSWORD_NAME.
func withoutPasswords(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(strings.ToUpper(v), "RESTANTE_PASSWORD") // on Windows case does not matter
	})
}

// sysexits are the statuses of sysexits.h that delivery programs use.
var sysexits = map[int]string{
	64: "wrong usage", 65: "data error", 66: "no input", 67: "no such user", 68: "no such host", 69: "service unavailable",
	70: "internal error", 71: "system error", 72: "system file missing", 73: "cannot create output", 74: "input/output error",
	75: "temporary failure", 76: "protocol error", 77: "permission denied", 78: "configuration error",
	126: "cannot be run", 127: "not found",
}

func statusName(exit *exec.ExitError) string {
	code := exit.ExitCode()
	if name := sysexits[code]; name != "" {
		return fmt.Sprintf("status %d (%s)", code, name)
	}
	return exit.String()
}

// tail keeps the last octets that a program said.
type tail struct{ last []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 300
	t.last = append(t.last, p...)
	if len(t.last) > most {
		t.last = bytes.Clone(t.last[len(t.last)-most:])
	}
	return len(p), nil
}

func (t *tail) text() string {
	said := bytes.TrimSpace(t.last)
	if len(said) == 0 {
		return ""
	}
	return ": " + pop3.Printable(string(said))
}

// converted is a spool that gets the line ends that are wanted.
type converted struct {
	*collect.Spool
	crlf bool
	conv unixLines
	buf  *[]byte // lent by the destination: messages are written one at a time
}

func newConverted(crlf bool, buf *[]byte) *converted {
	return &converted{Spool: collect.NewSpool(), crlf: crlf, buf: buf}
}

func (c *converted) Write(p []byte) (int, error) {
	if c.crlf {
		return c.Spool.Write(p)
	}
	*c.buf = c.conv.append((*c.buf)[:0], p)
	if _, err := c.Spool.Write(*c.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *converted) finish() error {
	_, err := c.Spool.Write(c.conv.finish(nil))
	return err
}
