// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package destinations

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a program a process group: ^C on the terminal does not reach
// it in the middle of a message, and when its time is over all of it ends, not
// the shell alone.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
