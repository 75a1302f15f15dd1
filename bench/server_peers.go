// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"restante.example/bench/report"
	"restante.example/internal/peers"
)

// starter stands where internal/peers wants a test: what would fail the test
// becomes an error, and what would be done at its end is done by end.
type starter struct {
	testing.TB // nil: internal/peers uses nothing but what is below
	atEnd      []func()
}

type startFailed struct{ error }

func (s *starter) Helper()                           {}
func (s *starter) Cleanup(f func())                  { s.atEnd = append(s.atEnd, f) }
func (s *starter) Fatal(args ...any)                 { panic(startFailed{errors.New(fmt.Sprint(args...))}) }
func (s *starter) Fatalf(format string, args ...any) { panic(startFailed{fmt.Errorf(format, args...)}) }
func (s *starter) Skipf(format string, args ...any)  { s.Fatalf(format, args...) }
func (s *starter) Errorf(format string, args ...any) { s.Fatalf(format, args...) }

// try runs what takes a test and returns its failure.
func (s *starter) try(what func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case startFailed:
			err = r.error
		default:
			panic(r)
		}
	}()
	what()
	return nil
}

func (s *starter) end() {
	for len(s.atEnd) > 0 {
		last := len(s.atEnd) - 1
		f := s.atEnd[last]
		s.atEnd = s.atEnd[:last]
		f()
	}
}

const noLMTP = "it takes no mail in by LMTP"

// courier is Courier.
func courier(id identity) (server, error) {
	s := server{noLMTP: noLMTP, Subject: report.Subject{Name: "Courier", Side: "server", Kind: report.Peer, Settings: []string{
		"Debian's programs with raised limits; passwords are checked by PAM against MD5 hashes of crypt(3), and against SHA-512 ones where slow hashes are measured, which cost less than argon2id"}}}
	t := &starter{}
	if err := t.try(func() { s.Version = peers.Version(t, "courier", "courier-pop") }); err != nil {
		return s, err
	}
	s.start = func(ctx context.Context, dir string, users crowd) (*instance, error) {
		t := &starter{}
		var c *peers.CrowdServer
		if err := t.try(func() { c = peers.CrowdCourier(t, id.crowd(users)) }); err != nil {
			t.end()
			return nil, err
		}
		return &instance{pop3: c.Addr, pop3s: c.TLSAddr, box: c.Box, uid: c.UID, pids: c.PIDs, stop: t.end}, nil
	}
	return s, nil
}

// popa3d is popa3d.
func popa3d(id identity) (server, error) {
	s := server{noLMTP: noLMTP, noTLS: "it has no TLS", noSizes: "it keeps mail in one mbox file, which has no names", Subject: report.Subject{
		Name: "popa3d", Side: "server", Kind: report.Peer, Settings: []string{
			"one mbox file for each user; passwords as with Courier; started for each connection, since by itself it can listen on port 110 of every address only: the time of the program that accepts and starts it is not counted"}}}
	t := &starter{}
	if err := t.try(func() { s.Version = peers.Version(t, "popa3d", "popa3d") }); err != nil {
		return s, err
	}
	s.start = func(ctx context.Context, dir string, users crowd) (*instance, error) {
		t := &starter{}
		var c *peers.CrowdServer
		var root, program string
		if err := t.try(func() { c, root, program = peers.CrowdPopa3d(t, id.crowd(users)) }); err != nil {
			t.end()
			return nil, err
		}
		address, cmd, err := startInetd(root, program)
		if err != nil {
			t.end()
			return nil, err
		}
		return &instance{pop3: address, box: c.Box, mbox: true, uid: c.UID, pids: []int{cmd.Process.Pid}, apart: cmd.Process.Pid,
			stop: func() { cmd.stop(); t.end() }}, nil
	}
	return s, nil
}

// inetdCommand is the first argument of this program where it is an inetd, in a
// process of its own so that what it starts can be told apart from the load.
const inetdCommand = "inetd"

// inetd is one that runs, until its input ends.
type inetd struct {
	*exec.Cmd
	in io.Closer
}

func startInetd(root, program string) (string, inetd, error) {
	self, err := os.Executable()
	if err != nil {
		return "", inetd{}, err
	}
	d := inetd{Cmd: exec.Command(self, inetdCommand, root, program)}
	d.Stderr = os.Stderr
	if d.in, err = d.StdinPipe(); err != nil {
		return "", d, err
	}
	out, err := d.StdoutPipe()
	if err != nil {
		return "", d, err
	}
	if err := d.Start(); err != nil {
		return "", d, err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		d.stop()
		return "", d, fmt.Errorf("inetd says nothing: %w", err)
	}
	return strings.TrimSpace(address), d, nil
}

func (d inetd) stop() {
	_ = d.in.Close()
	_ = d.Wait()
}

// runInetd is the whole of that process.
func runInetd(root, program string) error {
	t := &starter{}
	defer t.end()
	return t.try(func() {
		fmt.Println(peers.Inetd(t, func() *exec.Cmd { return peers.InJail(root, program) }))
		_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark lets go of it
	})
}
