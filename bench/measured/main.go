// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

// Command measured runs a program and writes what it took, with the processes
// that it started, into a file: nanoseconds of time and of processor time, KB of
// memory (the most of any one process) and the status with which it ended.
//
//	measured FILE PROGRAM [ARGUMENT ...]
//
// It is a command of its own, and small, because the system counts the memory of
// whoever starts a program as the program's.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		os.Stderr.WriteString("usage: measured FILE PROGRAM [ARGUMENT ...]\n")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		os.Stderr.WriteString("measured: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(file string, command []string) error {
	began := time.Now()
	p, err := os.StartProcess(command[0], command, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	state, err := p.Wait()
	if err != nil {
		return err
	}
	wall := time.Since(began)
	kb := int64(state.SysUsage().(*syscall.Rusage).Maxrss)
	text := ""
	for _, n := range []int64{int64(wall), int64(state.UserTime() + state.SystemTime()), kb, int64(state.ExitCode())} {
		text += strconv.FormatInt(n, 10) + "\n"
	}
	return os.WriteFile(file, []byte(text), 0o600)
}
