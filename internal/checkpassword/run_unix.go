// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package checkpassword

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// own gives a program a process group of its own, which ends as a whole.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// readNow reads what is there, without waiting for more.
func readNow(r *os.File, buf []byte) (n int, err error) {
	raw, err := r.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, failed = syscall.Read(int(fd), buf)
		for errors.Is(failed, syscall.EINTR) {
			n, failed = syscall.Read(int(fd), buf)
		}
		return true
	})
	if errors.Is(failed, syscall.EAGAIN) {
		return 0, err
	}
	return max(n, 0), errors.Join(err, failed)
}
