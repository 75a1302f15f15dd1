// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"restante.example/pop3server/pop3fault"
)

// fetch runs `restante fetch` into a Maildir once, killed after a time unless that
// is 0. It reports whether it came to its end with status 0.
func (t *torture) fetch(ctx context.Context, dir, address, user, secret string, kill time.Duration, flags ...string) (whole bool) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limited, filepath.Join(t.bin, "restante"), append([]string{"fetch", "--server", address, "--tls", "none",
		"--user", user, "--crlf", "--timeout", "5s", "--to", "maildir:" + filepath.Join(dir, "mail"), "--state", filepath.Join(dir, "state")}, flags...)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Env = append(os.Environ(), "RESTANTE_PASSWORD="+secret, "LANG=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.report.note("restante: %v", err)
		return false
	}
	t.report.count("runs of restante", 1)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var timer <-chan time.Time
	if kill > 0 {
		timer = time.After(kill)
	}
	select {
	case err := <-ended:
		var status *exec.ExitError
		switch {
		case limited.Err() != nil && ctx.Err() == nil:
			t.report.broken("restante did not end within a minute: %.800s", &output)
		case err != nil && !errors.As(err, &status):
			t.report.note("restante: %v", err)
		}
		if s := crash(output.Bytes()); s != "" {
			t.report.broken("restante: %s", s)
		}
		return err == nil
	case <-timer:
		if err := cmd.Process.Kill(); err == nil {
			t.report.count("kills of restante", 1)
		}
		<-ended
		return false
	}
}

// filed returns what is in the Maildir, by content.
func filed(dir string) (map[sum]int, error) {
	counts := map[sum]int{}
	for _, d := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(dir, "mail", d))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, e := range list {
			text, err := os.ReadFile(filepath.Join(dir, "mail", d, e.Name()))
			if err != nil {
				return nil, err
			}
			counts[sha256.Sum256(text)]++
		}
	}
	return counts, nil
}

// collector has restante collect from restanted, both killed at any time.
func (t *torture) collector(ctx context.Context, l *ledger, dir string, address string, rng *rand.Rand) {
	for pause(ctx, time.Duration(50+rng.IntN(300))*time.Millisecond) {
		kill := time.Duration(0)
		if rng.IntN(2) == 0 {
			kill = time.Duration(1+rng.IntN(400)) * time.Millisecond
		}
		t.fetch(ctx, dir, address, l.user, password, kill, "--delete")
	}
}

// collected compares what restante has filed with what left the server.
func (t *torture) collected(l *ledger, dir string, onServer []sum) error {
	counts, err := filed(dir)
	if err != nil {
		return err
	}
	there := map[sum]bool{}
	for _, s := range onServer {
		there[s] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, n := range counts {
		switch {
		case l.mail[s] == nil:
			t.report.broken("restante filed what was never sent: %x", s[:4])
		case n > 1:
			t.report.broken("restante filed message %x %d times", s[:4], n)
		}
	}
	for s, f := range l.mail {
		if f.accepted && !there[s] && counts[s] == 0 {
			t.report.broken("message %x was accepted for restante and is neither on the server nor filed", s[:4])
		}
	}
	t.report.counts["messages that restante filed from restanted"] = len(counts)
	return nil
}

// spoilt are the faults that restante meets in its first sessions with a server
// that misbehaves. All of them end, and none changes the mail for good.
func spoilt(n int) []pop3fault.Fault {
	return []pop3fault.Fault{
		pop3fault.CutInMessage(n), pop3fault.NoFinalDot(n), pop3fault.RefuseMessage(n), pop3fault.EmptyMessage(n),
		pop3fault.HangInMessage(n), pop3fault.EndlessMessage(n), pop3fault.WrongSizes(), pop3fault.AbsurdSizes(),
		pop3fault.MissingRows(), pop3fault.ShuffledRows(), pop3fault.NoTOP(), pop3fault.NoCAPA(), pop3fault.LyingCAPA(),
		pop3fault.BrokenPipelining(), pop3fault.IgnoredDELE(), pop3fault.QUITReplyLost(), pop3fault.QUITDropped(),
		pop3fault.QUITRefused(), pop3fault.HugeGreeting(), pop3fault.TerminalEscapes(), pop3fault.EndlessUIDL(), pop3fault.EndlessLIST(),
	}
}

// spoiler has restante collect from a server that misbehaves, killed at any time,
// and then compares.
func (t *torture) spoiler(ctx context.Context, rng *rand.Rand) {
	for n := 0; pause(ctx, 100*time.Millisecond); n++ {
		dir := filepath.Join(t.dir, fmt.Sprint("spoilt-", n))
		if err := t.spoiltCollection(ctx, dir, rng); err != nil && ctx.Err() == nil {
			t.report.note("the server that misbehaves: %v", err)
		}
		if t.keep && t.report.isBroken() {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			t.report.note("%v", err)
		}
	}
}

// contradicts is true for a fault that leaves no right answer beside another: a
// server that confirms a deletion it has not made, and then shows the message
// under another id, or under one where it had none, shows new mail as far as
// anybody can tell. TestFaultsTwoByTwo knows no other.
func contradicts(fault, others string) bool {
	renames := func(s string) bool {
		return strings.Contains(s, "LyingCAPA") || strings.Contains(s, "TerminalEscapes") || strings.Contains(s, "MissingRows")
	}
	ignores := func(s string) bool { return strings.Contains(s, "IgnoredDELE") }
	return ignores(fault) && renames(others) || renames(fault) && ignores(others)
}

func (t *torture) spoiltCollection(ctx context.Context, dir string, rng *rand.Rand) error {
	const messages = 60
	var faults []pop3fault.Fault
	var names string
	list := spoilt(1 + rng.IntN(messages))
	for range 1 + rng.IntN(2) {
		f := list[rng.IntN(len(list))]
		if contradicts(f.Name, names) {
			continue
		}
		names += " " + f.Name
		faults = append(faults, f.Sessions(1+rng.IntN(3)))
	}
	server, err := pop3fault.Start(ctx, &pop3fault.Options{Messages: pop3fault.Numbered(messages, 1500), Faults: faults})
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	var flags []string
	remove := rng.IntN(2) == 0
	if remove {
		flags = []string{"--delete"}
	}
	whole := false
	for try := 0; try < 12 && !(whole && server.Sessions() > 3); try++ {
		if ctx.Err() != nil {
			return nil // the end of the run is no verdict
		}
		kill := time.Duration(0)
		if try < 6 && rng.IntN(3) > 0 {
			kill = time.Duration(1+rng.IntN(150)) * time.Millisecond
		}
		whole = t.fetch(ctx, dir, server.Address(), "u1", "secret", kill, flags...)
	}
	if ctx.Err() != nil {
		return nil
	}
	t.report.count("collections from a server that misbehaves", 1)
	what := fmt.Sprintf("collecting under%s, delete %t", names, remove)
	if !whole {
		t.report.broken("%s: no run came to a good end, though the faults were over", what)
	}
	counts, err := filed(dir)
	if err != nil {
		return err
	}
	wrong, example := 0, ""
	for i, m := range server.Messages() {
		var s sum
		if _, err := hex.Decode(s[:], []byte(m.Sum())); err != nil {
			return err
		}
		n, deleted := counts[s], server.Records()[i].Deleted
		if n > 1 || n == 0 && (whole || deleted) {
			wrong++
			example = fmt.Sprintf("message %d is filed %d times, deleted on the server: %t", i+1, n, deleted)
		}
		if deleted && !remove {
			wrong++
			example = fmt.Sprintf("message %d is deleted, and was to be kept", i+1)
		}
		delete(counts, s)
	}
	if wrong > 0 {
		t.report.broken("%s: %d messages of %d; %s", what, wrong, messages, example)
	}
	if len(counts) > 0 {
		t.report.broken("%s: %d things are filed that were never sent", what, len(counts))
	}
	return nil
}
