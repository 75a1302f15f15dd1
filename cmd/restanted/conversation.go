// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"

	"restante.example/internal/daemon"
	"restante.example/internal/wire"
	"restante.example/pop3"
)

// How much of the conversation is shown.
const (
	shownRows    = 18 // lines of a list or a letter, when there are many more
	shownLetters = 3  // letters that are shown at all
	longestLine  = 100
)

// collector shows what it says and hears.
type collector struct {
	*talk
	*console
	quiet bool
}

// collectLetters signs in by POP3S, retrieves every message, compares it with
// what was delivered, and leaves all of them on the server.
func collectLetters(ctx context.Context, c *console, ready daemon.Ready, password string, letters []*letter) error {
	ca, err := os.ReadFile(ready.CAFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return fmt.Errorf("no certificate is in %s", ready.CAFile)
	}
	d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{pop3.ALPN}}}
	conn, err := d.DialContext(ctx, "tcp", ready.POP3S)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	k := &collector{talk: newTalk(conn), console: c}
	if state := conn.(*tls.Conn).ConnectionState(); state.HandshakeComplete {
		c.say("   (%s, certificate checked)", tls.VersionName(state.Version))
	}
	err = k.collect(ready.User, password, letters)
	_ = conn.Close() // after QUIT the server may have closed it already
	return err
}

func (k *collector) collect(user, password string, letters []*letter) error {
	if err := k.step(); err != nil {
		return err
	}
	if _, err := k.status("greeting"); err != nil {
		return err
	}
	if err := k.multi("CAPA"); err != nil {
		return err
	}
	if _, err := k.ask("USER "+user, "USER "+user); err != nil {
		return err
	}
	if _, err := k.ask("PASS "+password, "PASS ********"); err != nil {
		return err
	}
	var total int64
	for _, l := range letters {
		total += l.octets
	}
	stat, err := k.ask("STAT", "STAT")
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("%d %d", len(letters), total); stat != want {
		return fmt.Errorf("STAT says %q; %q was delivered", stat, want)
	}
	for _, list := range []string{"LIST", "UIDL"} {
		if err := k.multi(list); err != nil {
			return err
		}
	}
	for i, l := range letters {
		if i == shownLetters {
			k.say("   ... and so on; retrieved without being shown: %d", len(letters)-i)
		}
		k.quiet = i >= shownLetters
		if err := k.retrieve(i+1, l); err != nil {
			return err
		}
	}
	k.quiet = false
	_, err = k.ask("QUIT", "QUIT")
	return err
}

// shown writes a line of the conversation.
func (k *collector) shown(who, line string) {
	if k.quiet {
		return
	}
	line = pop3.Printable(line)
	if r := []rune(line); len(r) > longestLine {
		line = string(r[:longestLine]) + "..."
	}
	fmt.Fprintln(k.out, who+": "+line)
}

// shownText writes a line of a list or a letter as it was sent: a dot at its
// start would else look like the end.
func (k *collector) shownText(line string) {
	if strings.HasPrefix(line, ".") {
		line = "." + line
	}
	k.shown("S", line)
}

// ask sends a command, shown as it may be seen, and returns the text of its answer.
func (k *collector) ask(command, shown string) (string, error) {
	if err := k.step(); err != nil {
		return "", err
	}
	k.shown("C", shown)
	k.w.WriteString(command + "\r\n")
	if err := k.w.Flush(); err != nil {
		return "", err
	}
	word, _, _ := strings.Cut(shown, " ")
	return k.status(word)
}

// status reads the first line of an answer.
func (k *collector) status(command string) (string, error) {
	line, err := k.line()
	if err != nil {
		return "", err
	}
	k.shown("S", line)
	s, err := pop3.ParseStatus(line)
	if err != nil {
		return "", err
	}
	return s.Text, s.Err(command)
}

// multi asks for a list and shows its first lines.
func (k *collector) multi(command string) error {
	if _, err := k.ask(command, command); err != nil {
		return err
	}
	view := &excerpt{show: k.shownText}
	if _, err := io.Copy(view, wire.NewDotReader(k.r)); err != nil {
		return err
	}
	k.rest(view)
	return nil
}

// rest says how much was not shown, and shows the end.
func (k *collector) rest(view *excerpt) {
	if view.lines > shownRows && !k.quiet {
		k.say("   ... (more lines: %d)", view.lines-shownRows)
	}
	k.shown("S", ".")
}

// retrieve retrieves a message and compares it.
func (k *collector) retrieve(n int, l *letter) error {
	if _, err := k.ask(fmt.Sprint("RETR ", n), fmt.Sprint("RETR ", n)); err != nil {
		return err
	}
	sum := sha256.New()
	view := &excerpt{show: k.shownText}
	octets, err := io.Copy(io.MultiWriter(sum, view), wire.NewDotReader(k.r))
	if err != nil {
		return err
	}
	k.rest(view)
	if octets != l.octets || [sha256.Size]byte(sum.Sum(nil)) != l.sum {
		return fmt.Errorf("message %d came back with %d octets that are not the %d that were delivered", n, octets, l.octets)
	}
	return nil
}

// excerpt shows the first lines of what is written to it and counts the rest.
type excerpt struct {
	show  func(line string)
	lines int
	part  []byte
}

func (e *excerpt) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		line := rest
		if i >= 0 {
			line = rest[:i]
		}
		if room := 4*longestLine - len(e.part); room > 0 {
			e.part = append(e.part, line[:min(len(line), room)]...)
		}
		if i < 0 {
			break
		}
		if e.lines++; e.lines <= shownRows {
			e.show(strings.TrimSuffix(string(e.part), "\r"))
		}
		e.part = e.part[:0]
		rest = rest[i+1:]
	}
	return len(p), nil
}
