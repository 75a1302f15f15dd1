// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var kills = flag.Int("kills", 20, "how many times TestKill kills the server; RESTANTE_KILLS says the same")

// killTest is a server that is killed again and again between real deliveries
// and real collections.
type killTest struct {
	t       *testing.T
	program string
	env     []string
	dir     string
	ledgers []*ledger
	rng     *rand.Rand
	slowest time.Duration // from the start of the process to its ready file
}

const killPassword = "right password"

func newKillTest(t *testing.T, program string, env ...string) *killTest {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killTest{t: t, program: program, env: append(os.Environ(), env...), dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 1))}
	for _, user := range []string{"u1", "u2@example.org"} {
		add := exec.Command(program, "user", "add", user, "--password-stdin", "--data", k.data())
		add.Stdin = strings.NewReader(killPassword + "\n")
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		k.ledgers = append(k.ledgers, newLedger(user))
	}
	return k
}

func (k *killTest) data() string { return filepath.Join(k.dir, "data") }

// server is one life of the server.
type server struct {
	readyFile
	cmd *exec.Cmd
	log bytes.Buffer
}

func (k *killTest) start() *server {
	k.t.Helper()
	file := filepath.Join(k.dir, "ready")
	if err := os.RemoveAll(file); err != nil {
		k.t.Fatal(err)
	}
	s := &server{cmd: exec.Command(k.program, "serve", "--data", k.data(), "--pop3", "127.0.0.1:0", "--pop3s", "off",
		"--lmtp", "127.0.0.1:0", "--ready-file", file)}
	s.cmd.Env, s.cmd.Stderr = k.env, &s.log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	for range 2000 {
		if text, err := os.ReadFile(file); err == nil {
			if err := json.Unmarshal(text, &s.readyFile); err != nil {
				k.t.Fatal(err)
			}
			k.slowest = max(k.slowest, time.Since(began))
			return s
		}
		time.Sleep(5 * time.Millisecond) // another process is waited for
	}
	_ = s.cmd.Process.Kill() // the test fails anyway
	_ = s.cmd.Wait()
	k.t.Fatalf("the server did not come back:\n%s", &s.log)
	return nil
}

// round is one life: an audit in peace, then work until the kill.
func (k *killTest) round() {
	k.t.Helper()
	s := k.start()
	for _, l := range k.ledgers {
		if err := k.audit(s, l); err != nil {
			l.mu.Lock()
			l.violation("the mail cannot be read after a kill: %v", err)
			l.mu.Unlock()
		}
	}
	var work sync.WaitGroup
	for _, l := range k.ledgers {
		for range 2 {
			rng := rand.New(rand.NewPCG(k.rng.Uint64(), 2))
			work.Go(func() { deliverUntilKilled(s, l, rng) })
		}
		rng := rand.New(rand.NewPCG(k.rng.Uint64(), 3))
		work.Go(func() {
			for collectOnce(s, l, rng) == nil {
			}
		})
	}
	time.Sleep(time.Duration(20+k.rng.IntN(300)) * time.Millisecond) // the moment of the kill is to be random
	if err := s.cmd.Process.Kill(); err != nil {
		k.t.Fatal(err)
	}
	_ = s.cmd.Wait() // it was killed
	work.Wait()
	for _, sign := range []string{"DATA RACE", "panic", "level=ERROR"} {
		if strings.Contains(s.log.String(), sign) {
			k.t.Errorf("the server logged %s:\n%s", sign, &s.log)
		}
	}
}

// deliverUntilKilled delivers one message after the other.
func deliverUntilKilled(s *server, l *ledger, rng *rand.Rand) {
	c, err := rawLMTP(s.LMTP)
	if err != nil {
		return
	}
	defer c.Close()
	recipient := l.user
	if !strings.Contains(recipient, "@") {
		recipient += "@localhost"
	}
	for {
		mail := randomMail(rng)
		name := sum(sha256.Sum256(append([]byte(added("a@b", recipient)), mail...)))
		l.note(l.tried, name)
		if err := c.send("a@b", recipient, mail); err != nil {
			return
		}
		l.note(l.accepted, name)
	}
}

// collectOnce is one session: it retrieves some messages, deletes some of
// those, and ends by QUIT or by hanging up.
func collectOnce(s *server, l *ledger, rng *rand.Rand) error {
	c, err := rawPOP3(s.POP3, l.user, killPassword)
	if err != nil {
		return err
	}
	defer c.Close()
	list, err := c.list()
	if err != nil {
		return err
	}
	var deleted []sum
	for _, m := range list {
		if rng.IntN(3) == 0 {
			continue
		}
		name, octets, err := c.retrieve(m.number)
		if err != nil {
			return err
		}
		l.seen(m.uid, name, m.size, octets)
		if rng.IntN(2) == 0 {
			if _, err := c.say(fmt.Sprint("DELE ", m.number), "+OK"); err != nil {
				return err
			}
			deleted = append(deleted, name)
		}
	}
	if rng.IntN(3) == 0 {
		return nil // without QUIT nothing is removed
	}
	l.asked(deleted)
	_, err = c.say("QUIT", "+OK")
	l.answered(deleted, err == nil)
	return err
}

// audit reads all mail of a user, in peace.
func (k *killTest) audit(s *server, l *ledger) error {
	c, err := rawPOP3(s.POP3, l.user, killPassword)
	if err != nil {
		return err
	}
	defer c.Close()
	list, err := c.list()
	if err != nil {
		return err
	}
	var have []sum
	for _, m := range list {
		name, octets, err := c.retrieve(m.number)
		if err != nil {
			return fmt.Errorf("message %d: %w", m.number, err)
		}
		l.seen(m.uid, name, m.size, octets)
		have = append(have, name)
	}
	l.audit(have)
	_, err = c.say("QUIT", "+OK")
	return err
}

// broken returns all broken promises.
func (k *killTest) broken() (list []string) {
	for _, l := range k.ledgers {
		_, _, broken := l.facts()
		list = append(list, broken...)
	}
	return list
}

// finish audits a last time, and returns how much was done.
func (k *killTest) finish() (accepted, removed int) {
	s := k.start()
	for _, l := range k.ledgers {
		if err := k.audit(s, l); err != nil {
			k.t.Errorf("%s: the last audit: %v", l.user, err)
		}
		a, r, _ := l.facts()
		accepted, removed = accepted+a, removed+r
	}
	_ = s.cmd.Process.Kill() // it has done its part
	_ = s.cmd.Wait()
	return accepted, removed
}

// TestKill kills the server at random while mail is delivered and deleted.
// Nothing that was accepted is lost or doubled, nothing is deleted without
// QUIT, nothing that was removed comes back, no part of a message is served,
// and no UID names two messages.
//
// The long run: go test ./cmd/restanted -run TestKill$ -kills 200 -timeout 30m
func TestKill(t *testing.T) {
	rounds := *kills
	if v := os.Getenv("RESTANTE_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("RESTANTE_KILLS is %q", v)
		}
		rounds = n
	}
	k := newKillTest(t, installed(t))
	for round := range rounds {
		k.round()
		if broken := k.broken(); len(broken) > 0 {
			t.Fatalf("kill %d:\n%s", round+1, strings.Join(broken, "\n"))
		}
	}
	accepted, removed := k.finish()
	if broken := k.broken(); len(broken) > 0 {
		t.Fatal(strings.Join(broken, "\n"))
	}
	t.Logf("%d kills: %d messages accepted, %d removed, none lost; the slowest start took %v", rounds, accepted, removed, k.slowest)
	if accepted < rounds || removed < rounds/4 {
		t.Errorf("%d accepted and %d removed are too few to show anything", accepted, removed)
	}
}

// installed returns the program that testscript.Main has put into the path.
func installed(t *testing.T) string {
	t.Helper()
	name, err := exec.LookPath("restanted")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A kill test that finds nothing shows something only if it finds builds that
// are wrong on purpose.
func TestKillFindsWrongBuilds(t *testing.T) {
	program := filepath.Join(t.TempDir(), "restanted-wrong")
	if out, err := exec.Command("go", "build", "-tags", "faults", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const limit = 60
	for fault, sign := range map[string]string{
		"early-accept":  "was accepted and is lost",
		"early-quit":    "has risen",
		"drop-deletes":  "was accepted and is lost",
		"numbered-uids": "has named",
		"torn":          "nothing that was ever sent",
	} {
		t.Run(fault, func(t *testing.T) {
			k := newKillTest(t, program, "RESTANTE_FAULT="+fault)
			for round := range limit {
				k.round()
				if broken := strings.Join(k.broken(), "\n"); broken != "" {
					if !strings.Contains(broken, sign) {
						t.Errorf("found by another sign than %q:\n%s", sign, broken)
					}
					t.Logf("found after %d kills", round+1)
					return
				}
			}
			t.Errorf("%d kills did not find it", limit)
		})
	}
}
