// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"bytes"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// daemon is a server that stays in the foreground.
type daemon struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan error
}

// launch starts a server in the foreground and ends it with the test. It is
// ready when it answers at the address.
func launch(t testing.TB, address string, cmd *exec.Cmd) *daemon {
	t.Helper()
	return start(t, func() bool { return answers(address) }, cmd)
}

// start starts a server in the foreground, in a process group of its own, and
// ends it with the test.
func start(t testing.TB, ready func() bool, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &d.output, &d.output
	cmd.WaitDelay = time.Second
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.ended <- cmd.Wait() }()
	t.Cleanup(func() { d.stop() })
	up := waitFor(func() bool {
		select {
		case err := <-d.ended:
			d.ended <- err
			t.Fatalf("%s ended: %v\n%s", cmd.Path, err, d.output.String())
		default:
		}
		return ready()
	})
	if !up {
		d.stop()
		t.Fatalf("%s does not get ready\n%s", cmd.Path, d.output.String())
	}
	return d
}

// stop ends the server and its children.
func (d *daemon) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM) // one that has ended is what is wanted
	select {
	case err := <-d.ended:
		d.ended <- err
	case <-time.After(patience):
	}
	syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL) // its group, which it made itself
}
