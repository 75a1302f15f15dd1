// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package checkpassword asks a program whether a password is right, by the
// convention of D. J. Bernstein's checkpassword: the program reads
// "user NUL password NUL timestamp NUL" from descriptor 3, and runs the program
// that stands behind its own arguments if the password is right. Status 0 says
// that it is, 1 that it is not; everything else says nothing.
//
// What it runs then is Reply, of this program, which tells the name that the
// checking program has put into the environment variable USER. A program that
// runs nothing and only ends with its status does as well.
package checkpassword

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"restante.example/internal/directory"
	"restante.example/internal/passwords"
	"restante.example/maildrop"
	"restante.example/sasl"
)

// Helper is a program that checks passwords. Its fields are not changed once it
// is used; Check may be called by any number of goroutines.
type Helper struct {
	// Command is the program and its arguments, Reply what stands behind them:
	// a program that calls Reply.
	Command, Reply []string
	// Timeout is how long it may take; then it is killed with all that it has
	// started and that is still of its process group.
	Timeout time.Duration
	// Slots bound how many run at once.
	Slots *passwords.Slots
	// Remember is for how long a right password need not be asked about again.
	Remember time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// maxData is what a checking program reads at most, in octets.
const maxData = 512

// path is that of the environment, the only variable that goes with the
// client's address.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Check asks about a name and a password. It returns maildrop.ErrCredentials
// when they are wrong, passwords.ErrBusy, the context's error, or any other when
// the program does not tell. What the program writes is not looked at.
func (h *Helper) Check(ctx context.Context, a maildrop.Attempt, name string, password sasl.Secret) (directory.Vouched, error) {
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	data := name + "\x00" + string(password) + "\x00" + strconv.FormatInt(now().Unix(), 10) + "\x00"
	if strings.ContainsRune(name+string(password), 0) || len(data) > maxData {
		return directory.Vouched{}, maildrop.ErrCredentials // nobody can have it
	}
	if err := h.Slots.Acquire(ctx, false); err != nil {
		return directory.Vouched{}, err
	}
	defer h.Slots.Release()
	reply, err := h.run(ctx, a, data)
	if err != nil {
		return directory.Vouched{}, err
	}
	return directory.Vouched{Name: reply, Remember: h.Remember}, nil
}

// run returns what the program replies.
func (h *Helper) run(ctx context.Context, a maildrop.Attempt, data string) (string, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("helper: %w", err)
	}
	defer inR.Close()
	outR, outW, err := os.Pipe()
	if err != nil {
		return "", errors.Join(fmt.Errorf("helper: %w", err), inW.Close())
	}
	defer outR.Close()
	// A pipe holds more than that, so nobody need be there to read it.
	_, err = io.WriteString(inW, data)
	if err = errors.Join(err, inW.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("helper: %w", err), outW.Close())
	}
	limit, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	cmd := exec.CommandContext(limit, h.Command[0], append(h.Command[1:len(h.Command):len(h.Command)], h.Reply...)...)
	cmd.Env = []string{path, "PROTO=TCP"}
	if a.Remote.IsValid() {
		cmd.Env = append(cmd.Env, "TCPREMOTEIP="+a.Remote.Unmap().WithZone("").String())
	}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{inR, outW} // descriptors 3 and 4
	own(cmd)
	err = errors.Join(cmd.Start(), outW.Close())
	if err != nil {
		return "", fmt.Errorf("helper: %w", err)
	}
	err = cmd.Wait()
	var status *exec.ExitError
	switch {
	case err == nil:
		return readReply(outR)
	case ctx.Err() != nil:
		return "", ctx.Err()
	case limit.Err() != nil:
		return "", fmt.Errorf("helper: it took more than %v and was killed", h.Timeout)
	case errors.As(err, &status) && status.ExitCode() == 1:
		return "", maildrop.ErrCredentials
	}
	return "", fmt.Errorf("helper: it says neither yes nor no: %w", err)
}

// maxReply is more than a name can have, in octets.
const maxReply = 1024

// readReply returns the name that a program which has ended has written, or
// nothing where it has written none. It does not wait for programs that still
// have the other end.
func readReply(r *os.File) (string, error) {
	buf := make([]byte, maxReply)
	n, err := readNow(r, buf)
	if err != nil {
		return "", fmt.Errorf("helper: its reply: %w", err)
	}
	if n == 0 {
		return "", nil
	}
	name, rest, ok := bytes.Cut(buf[:n], []byte{0})
	if !ok || len(rest) > 0 {
		return "", errors.New("helper: its reply on descriptor 4 is not what the reply program writes")
	}
	return string(name), nil
}

// Reply tells the name in the environment to the server that has started the
// program which started this. It returns the status to end with.
func Reply(getenv func(string) string) int {
	// Opened as a file: an exec leaves descriptor 4 as the server made it.
	_, err := os.NewFile(4, "reply").Write([]byte(getenv("USER") + "\x00"))
	if err != nil {
		return 111
	}
	return 0
}
