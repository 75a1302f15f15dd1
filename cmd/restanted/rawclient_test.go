// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// The clients here share no code with the server, and are as plain as can be.

// rawConn is a connection with a deadline for everything.
type rawConn struct {
	net.Conn
	in *bufio.Reader
}

func rawDial(address string) (*rawConn, error) {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return nil, err
	}
	return &rawConn{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

// line reads a line without its CRLF.
func (c *rawConn) line() (string, error) {
	line, err := c.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// say sends a line and returns the first line of the answer, which must begin
// as expected.
func (c *rawConn) say(line, expect string) (string, error) {
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return "", err
	}
	return c.expect(expect)
}

func (c *rawConn) expect(expect string) (string, error) {
	answer, err := c.line()
	if err == nil && !strings.HasPrefix(answer, expect) {
		err = fmt.Errorf("answered %q", answer)
	}
	return answer, err
}

// text reads a multi-line answer to its dot into w and returns its octets.
func (c *rawConn) text(w io.Writer) (octets int, err error) {
	start, last := true, byte(0)
	for {
		piece, err := c.in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
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

// rawLMTP is an LMTP client.
func rawLMTP(address string) (*rawConn, error) {
	c, err := rawDial(address)
	if err != nil {
		return nil, err
	}
	if _, err := c.expect("220"); err != nil {
		return nil, err
	}
	answer, err := c.say("LHLO client", "250")
	for err == nil && strings.HasPrefix(answer, "250-") {
		answer, err = c.expect("250")
	}
	return c, err
}

// send delivers a text that is in wire form, and reports whether the server
// accepted it.
func (c *rawConn) send(sender, recipient string, wireText []byte) error {
	for _, step := range [][2]string{{"MAIL FROM:<" + sender + ">", "250"}, {"RCPT TO:<" + recipient + ">", "250"}, {"DATA", "354"}} {
		if _, err := c.say(step[0], step[1]); err != nil {
			return err
		}
	}
	stuffed := bytes.ReplaceAll(wireText, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(wireText, []byte(".")) {
		stuffed = append([]byte("."), stuffed...)
	}
	if len(stuffed) > 0 && !bytes.HasSuffix(stuffed, []byte("\r\n")) {
		stuffed = append(stuffed, "\r\n"...)
	}
	if _, err := c.Write(append(stuffed, ".\r\n"...)); err != nil {
		return err
	}
	_, err := c.expect("250")
	return err
}

// added is what a delivery puts in front of a message.
func added(sender, recipient string) string {
	return "Return-Path: <" + sender + ">\r\nDelivered-To: " + recipient + "\r\n"
}

// randomMail makes a message like no other, in wire form.
func randomMail(rng *rand.Rand) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Subject: %d\r\n\r\n", rng.Uint64())
	size := 100 << rng.IntN(9)
	if rng.IntN(50) == 0 {
		size = 500_000
	}
	for b.Len() < size {
		line := strings.Repeat("x", rng.IntN(200))
		if rng.IntN(5) == 0 {
			line = "." + line
		}
		b.WriteString(line + "\r\n")
	}
	return b.Bytes()
}

// rawPOP3 signs in, and tries again while an earlier session is still ending.
func rawPOP3(address, user, password string) (*rawConn, error) {
	for try := 0; ; try++ {
		c, err := rawDial(address)
		if err != nil {
			return nil, err
		}
		if _, err = c.expect("+OK"); err == nil {
			if _, err = c.say("USER "+user, "+OK"); err == nil {
				_, err = c.say("PASS "+password, "+OK")
			}
		}
		if err == nil {
			return c, nil
		}
		_ = c.Close() // it is of no use
		if try == 200 || !strings.Contains(err.Error(), "IN-USE") {
			return nil, err
		}
		time.Sleep(5 * time.Millisecond) // the server has to notice that the other one left
	}
}

// listed is a row of LIST and UIDL.
type listed struct {
	number, size int
	uid          string
}

func (c *rawConn) list() ([]listed, error) {
	var sizes, uids bytes.Buffer
	for _, l := range []struct {
		command string
		to      *bytes.Buffer
	}{{"LIST", &sizes}, {"UIDL", &uids}} {
		if _, err := c.say(l.command, "+OK"); err != nil {
			return nil, err
		}
		if _, err := c.text(l.to); err != nil {
			return nil, err
		}
	}
	var list []listed
	for {
		var a, b listed
		if n, _ := fmt.Fscanln(&sizes, &a.number, &a.size); n != 2 {
			return list, nil
		}
		if n, _ := fmt.Fscanln(&uids, &b.number, &b.uid); n != 2 || a.number != b.number {
			return nil, fmt.Errorf("LIST and UIDL disagree at message %d", a.number)
		}
		a.uid = b.uid
		list = append(list, a)
	}
}

// retrieve returns the hash and the octets of a message.
func (c *rawConn) retrieve(number int) (s sum, octets int, err error) {
	if _, err := c.say(fmt.Sprint("RETR ", number), "+OK"); err != nil {
		return s, 0, err
	}
	h := sha256.New()
	octets, err = c.text(h)
	return sum(h.Sum(nil)), octets, err
}
