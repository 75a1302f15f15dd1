// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const hasClock = true

var errNoClock error // there is a reason only elsewhere

// enterClock is the stage before the program: it asks for its tracer to be told of
// every question for the wall clock, and becomes the program.
func enterClock(args []string) error {
	runtime.LockOSThread() // the filter is that of a thread, and the thread's exec keeps it
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLOCK_GETTIME, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // its first argument
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.CLOCK_REALTIME, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// traceClock runs a program and answers its questions for the time, until it ends.
// The jumps come on standard input, a number of nanoseconds a line; the process id
// goes to descriptor 3. It returns the status that the program ended with.
func traceClock(args []string) (status int, err error) {
	runtime.LockOSThread() // a tracer is a thread
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, append([]string{clockStage}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return 0, err
	}
	const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESECCOMP
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return 0, err
	}
	tell := os.NewFile(3, "process id")
	if _, err := fmt.Fprintln(tell, pid); err != nil {
		return 0, err
	}
	if err := tell.Close(); err != nil {
		return 0, err
	}
	var by atomic.Int64
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			if n, err := strconv.ParseInt(in.Text(), 10, 64); err == nil {
				by.Store(n)
			}
		}
	}()
	return attendThreads(pid, &by)
}

// attendThreads lets all threads of a process run, and answers where one asks.
func attendThreads(pid int, by *atomic.Int64) (status int, err error) {
	known := map[int]bool{pid: true}
	next, pass := pid, 0
	for {
		// A thread that was killed meanwhile is told of by the next wait.
		if err := unix.PtraceCont(next, pass); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
		var ws unix.WaitStatus
		for {
			if next, err = unix.Wait4(-1, &ws, unix.WALL, nil); errors.Is(err, unix.EINTR) {
				continue
			} else if err != nil {
				return 0, err
			}
			if ws.Stopped() {
				break
			}
			if next == pid {
				if ws.Signaled() {
					return 128 + int(ws.Signal()), nil
				}
				return ws.ExitStatus(), nil
			}
		}
		pass = 0
		switch event, signal := int(ws)>>16, ws.StopSignal(); {
		case event == unix.PTRACE_EVENT_SECCOMP:
			err = answerClock(next, time.Duration(by.Load()))
		case event == unix.PTRACE_EVENT_EXEC:
			err = hideFastClock(next)
		case event != 0:
		case signal == unix.SIGSTOP && !known[next]:
			known[next] = true // how a new thread begins
		case signal != unix.SIGTRAP:
			pass = int(signal)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
	}
}

// answerClock answers a clock_gettime that has not been carried out.
func answerClock(thread int, by time.Duration) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	now := time.Now().Add(by)
	answer := binary.LittleEndian.AppendUint64(nil, uint64(now.Unix()))
	answer = binary.LittleEndian.AppendUint64(answer, uint64(now.Nanosecond()))
	if _, err := unix.PtracePokeData(thread, uintptr(regs.Rsi), answer); err != nil {
		return err
	}
	regs.Rax, regs.Orig_rax = 0, ^uint64(0) // no system call, and success
	return unix.PtraceSetRegs(thread, &regs)
}

// hideFastClock makes a program that has not begun find no vDSO, which would tell
// it the time behind our back: its address is among what lies on the stack behind
// the arguments and the environment.
func hideFastClock(pid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return err
	}
	word := func(at uint64) (uint64, error) {
		var b [8]byte
		_, err := unix.PtracePeekData(pid, uintptr(at), b[:])
		return binary.LittleEndian.Uint64(b[:]), err
	}
	const (
		ignore = 1  // AT_IGNORE
		vdso   = 33 // AT_SYSINFO_EHDR
	)
	at := regs.Rsp
	argc, err := word(at)
	if err != nil {
		return err
	}
	at += 8 * (argc + 2) // itself, the arguments, and the zero behind them
	for ; ; at += 8 {
		if w, err := word(at); err != nil {
			return err
		} else if w == 0 {
			break
		}
	}
	for at += 8; ; at += 16 {
		switch kind, err := word(at); {
		case err != nil:
			return err
		case kind == 0:
			return errors.New("the program was given no vDSO")
		case kind == vdso:
			_, err := unix.PtracePokeData(pid, uintptr(at), binary.LittleEndian.AppendUint64(nil, ignore))
			return err
		}
	}
}
