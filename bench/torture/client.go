// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// The clients here share no code with the server, and are as plain as can be.

// errNonsense is an answer that no server may give.
var errNonsense = errors.New("nonsense")

// patience is how long a client waits for a server that may be stopped.
const patience = 30 * time.Second

// conn is a connection with one deadline for everything.
type conn struct {
	net.Conn
	in *bufio.Reader
}

// dial connects, from another loopback address if one is named.
func dial(from, address string, secure *tls.Config) (*conn, error) {
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if secure != nil {
		c = tls.Client(c, secure)
	}
	return &conn{c, bufio.NewReaderSize(c, 16<<10)}, nil
}

func (c *conn) hangUp() { _ = c.Close() } // there is nothing more to learn from it

func (c *conn) line() (string, error) {
	line, err := c.in.ReadString('\n')
	if err == nil && !strings.HasSuffix(line, "\r\n") {
		err = fmt.Errorf("%w: a line ends without CRLF: %.80q", errNonsense, line)
	}
	return strings.TrimSuffix(line, "\r\n"), err
}

// refusal is a reply that is not the one that was hoped for.
type refusal string

func (r refusal) Error() string { return "answered " + string(r) }

// say sends a line and returns the first line of the answer, which must begin
// as expected.
func (c *conn) say(line, expect string) (string, error) {
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return "", err
	}
	return c.expect(expect)
}

func (c *conn) expect(expect string) (string, error) {
	answer, err := c.line()
	if err == nil && !strings.HasPrefix(answer, expect) {
		err = refusal(answer)
		if strings.HasPrefix(expect, "+OK") && !strings.HasPrefix(answer, "-ERR") {
			err = fmt.Errorf("%w: %.80q", errNonsense, answer)
		}
	}
	return answer, err
}

// unstuff copies a multi-line answer up to its dot and returns its octets.
func unstuff(w io.Writer, in *bufio.Reader) (octets int, err error) {
	start, last := true, byte(0)
	for {
		piece, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return octets, fmt.Errorf("inside a text: %w", err)
		}
		// The CR may have come with the piece before.
		ends := bytes.HasSuffix(piece, []byte("\r\n")) || last == '\r' && string(piece) == "\n"
		last = piece[len(piece)-1]
		if start && piece[0] == '.' {
			if string(piece) == ".\r\n" {
				return octets, nil
			}
			piece = piece[1:]
		}
		n, err := w.Write(piece)
		octets += n
		if err != nil {
			return octets, err
		}
		start = ends
	}
}

// pop3SignIn connects and signs in, and tries again while an earlier session of
// the same user is still ending.
func pop3SignIn(from, address, user string, secure *tls.Config) (*conn, error) {
	for try := 0; ; try++ {
		c, err := dial(from, address, secure)
		if err != nil {
			return nil, err
		}
		if _, err = c.expect("+OK"); err == nil {
			if _, err = c.say("USER "+user, "+OK"); err == nil {
				if _, err = c.say("PASS "+password, "+OK"); err == nil {
					return c, nil
				}
			}
		}
		c.hangUp()
		if try == 100 || !strings.Contains(err.Error(), "IN-USE") {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond) // the server has to notice that the other one left
	}
}

// row is a message in LIST and UIDL.
type row struct {
	number, size int
	uid          string
}

// rows asks for STAT, LIST and UIDL, which must agree.
func (c *conn) rows() (list []row, err error) {
	stat, err := c.say("STAT", "+OK")
	if err != nil {
		return nil, err
	}
	var count, octets, total int
	if n, _ := fmt.Sscanf(stat, "+OK %d %d", &count, &octets); n != 2 {
		return nil, fmt.Errorf("%w: STAT answers %q", errNonsense, stat)
	}
	var sizes, uids bytes.Buffer
	for _, l := range []struct {
		command string
		to      *bytes.Buffer
	}{{"LIST", &sizes}, {"UIDL", &uids}} {
		if _, err := c.say(l.command, "+OK"); err != nil {
			return nil, err
		}
		if _, err := unstuff(l.to, c.in); err != nil {
			return nil, err
		}
	}
	for sizes.Len() > 0 || uids.Len() > 0 {
		var r row
		var number int
		n, _ := fmt.Fscanln(&sizes, &r.number, &r.size)
		m, _ := fmt.Fscanln(&uids, &number, &r.uid)
		if n != 2 || m != 2 || r.number != number {
			return nil, fmt.Errorf("%w: LIST and UIDL disagree at message %d", errNonsense, r.number)
		}
		total += r.size
		list = append(list, r)
	}
	if len(list) != count || total != octets {
		return nil, fmt.Errorf("%w: STAT says %d messages of %d octets, LIST %d of %d", errNonsense, count, octets, len(list), total)
	}
	return list, nil
}

// retrieve returns the hash and the octets of a message.
func (c *conn) retrieve(number int) (s sum, octets int, err error) {
	if _, err := c.say(fmt.Sprint("RETR ", number), "+OK"); err != nil {
		return s, 0, err
	}
	h := sha256.New()
	octets, err = unstuff(h, c.in)
	return sum(h.Sum(nil)), octets, err
}

// lmtpGreet connects to LMTP and says who is there.
func lmtpGreet(from, address string) (*conn, error) {
	c, err := dial(from, address, nil)
	if err != nil {
		return nil, err
	}
	if _, err = c.expect("220"); err == nil {
		var answer string
		answer, err = c.say("LHLO client.example.org", "250")
		for err == nil && strings.HasPrefix(answer, "250-") {
			answer, err = c.expect("250")
		}
	}
	if err != nil {
		c.hangUp()
		return nil, err
	}
	return c, nil
}

const sender = "torture@example.net"

// opening is all of a delivery before the message. It returns who is taken.
func (c *conn) opening(recipients []string) (taken []bool, err error) {
	if _, err := c.say("MAIL FROM:<"+sender+">", "250"); err != nil {
		return nil, err
	}
	taken = make([]bool, len(recipients))
	some := false
	for i, r := range recipients {
		_, err := c.say("RCPT TO:<"+r+">", "250")
		var no refusal
		if err != nil && !errors.As(err, &no) {
			return nil, err
		}
		taken[i] = err == nil
		some = some || taken[i]
	}
	if !some {
		_, err = c.say("RSET", "250")
		return taken, err
	}
	_, err = c.say("DATA", "354")
	return taken, err
}

// stuff is a message as it goes over the wire, with its final dot.
func stuff(message []byte) []byte {
	stuffed := bytes.ReplaceAll(message, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(message, []byte(".")) {
		stuffed = append([]byte("."), stuffed...)
	}
	return append(stuffed, ".\r\n"...)
}
