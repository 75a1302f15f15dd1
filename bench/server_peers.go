// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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

// unpackedVersion finds out whether a server can be started here, and which one
// it is.
func unpackedVersion(s *server, name, debian string) error {
	if os.Getuid() != 0 {
		return errNotRoot
	}
	t := &starter{}
	return t.try(func() { s.Version = peers.Version(t, name, debian) })
}

// courier is Courier.
func courier(id identity) (server, error) {
	s := server{noLMTP: noLMTP, Subject: report.Subject{Name: "Courier", Side: "server", Kind: report.Peer, Settings: []string{
		"Debian's programs with raised limits; passwords are checked by PAM against MD5 hashes of crypt(3), and against SHA-512 ones where slow hashes are measured, which cost less than argon2id"}}}
	if err := unpackedVersion(&s, "courier", "courier-pop"); err != nil {
		return s, err
	}
	s.start = func(ctx context.Context, dir string, users crowd) (*instance, error) {
		return startKeeper("courier", id.crowd(users))
	}
	return s, nil
}

// popa3d is popa3d.
func popa3d(id identity) (server, error) {
	s := server{noLMTP: noLMTP, noTLS: "it has no TLS", noSizes: "it keeps mail in one mbox file, which has no names", Subject: report.Subject{
		Name: "popa3d", Side: "server", Kind: report.Peer, Settings: []string{
			"one mbox file for each user; passwords as with Courier; started for each connection, since by itself it can listen on port 110 of every address only: the time of the program that accepts and starts it is not counted"}}}
	if err := unpackedVersion(&s, "popa3d", "popa3d"); err != nil {
		return s, err
	}
	s.start = func(ctx context.Context, dir string, users crowd) (*instance, error) {
		in, err := startKeeper("popa3d", id.crowd(users))
		if err == nil {
			in.mbox = true
		}
		return in, err
	}
	return s, nil
}

// keeperCommand is the first argument of this program where it starts a server
// of others and waits for its own input to end. What the server uses is counted
// by the processes below this one: it takes in those whose parents have ended
// without waiting for them, as Courier's with TLS do.
const keeperCommand = "keeper"

func startKeeper(which string, users peers.Crowd) (*instance, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(users)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, keeperCommand, which, string(request))
	var said strings.Builder
	cmd.Stderr = &said
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() {
		_ = hold.Close()
		_ = cmd.Wait()
	}
	var c peers.CrowdServer
	if err := json.NewDecoder(out).Decode(&c); err != nil {
		stop()
		return nil, fmt.Errorf("starting %s: %.2000s", which, said.String())
	}
	return &instance{pop3: c.Addr, pop3s: c.TLSAddr, box: func(user int) string { return fmt.Sprintf(c.Box, user) }, uid: c.UID,
		pids: []int{cmd.Process.Pid}, apart: cmd.Process.Pid, stop: stop}, nil
}

// runKeeper is the whole of that process.
func runKeeper(which, request string) error {
	var users peers.Crowd
	if err := json.Unmarshal([]byte(request), &users); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	t := &starter{}
	defer t.end()
	return t.try(func() {
		start := peers.CrowdCourier
		if which == "popa3d" {
			start = peers.CrowdPopa3d
		}
		if err := json.NewEncoder(os.Stdout).Encode(start(t, users)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
	})
}
