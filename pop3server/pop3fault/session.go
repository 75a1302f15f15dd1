// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// session is one conversation. Errors of the connection are not looked at one
// by one: the writer keeps them, and reading ends the loop.
type session struct {
	*Server
	plan      plan
	number    int // of the connection
	conn      net.Conn
	r         *bufio.Reader
	w         *bufio.Writer
	secured   bool
	user      string
	signedIn  bool
	shown     []int // indexes of the messages of this session, by number-1
	marked    map[int]bool
	retrieved map[int]bool // by index
	over      bool
}

// longest is the longest command in octets, so that no client eats memory.
const longest = 64 << 10

func newSession(s *Server, conn net.Conn, number int) *session {
	x := &session{Server: s, number: number, marked: map[int]bool{}, retrieved: map[int]bool{}}
	for _, f := range s.opt.Faults {
		if f.sessions == 0 || number <= f.sessions {
			f.set(&x.plan)
		}
	}
	x.use(conn)
	return x
}

// use goes on with conn, forgetting what was buffered.
func (x *session) use(conn net.Conn) {
	x.conn = conn
	x.r = bufio.NewReaderSize(conn, longest)
	var w io.Writer = conn
	if x.plan.paced {
		w = &dripper{ctx: x.ctx, w: conn, pace: x.opt.Pace}
	}
	x.w = bufio.NewWriterSize(w, 32<<10)
}

// dripper writes one octet at a time.
type dripper struct {
	ctx  context.Context
	w    io.Writer
	pace time.Duration
}

func (d *dripper) Write(p []byte) (int, error) {
	timer := time.NewTimer(d.pace)
	defer timer.Stop()
	for i := range p {
		select {
		case <-d.ctx.Done():
			return i, d.ctx.Err()
		case <-timer.C:
			timer.Reset(d.pace)
		}
		if _, err := d.w.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func (x *session) run() {
	if x.opt.ImplicitTLS && !x.startTLS() {
		return
	}
	if x.plan.greeting != "" {
		x.write(x.plan.greeting + "\r\n")
	} else {
		x.ok("ready")
	}
	for !x.over {
		// Replies to commands that came together go out together.
		if x.r.Buffered() == 0 && x.w.Flush() != nil {
			return
		}
		line, err := x.line()
		if err != nil {
			return
		}
		command, args, _ := strings.Cut(line, " ")
		x.handle(strings.ToUpper(command), args)
		if x.plan.pipelining && x.w.Flush() == nil {
			_, _ = x.r.Discard(x.r.Buffered()) // what is buffered can be discarded
		}
	}
	_ = x.w.Flush() // the client may have gone
}

func (x *session) line() (string, error) {
	octets, err := x.r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	line := strings.TrimRight(string(octets), "\r\n")
	x.mu.Lock()
	defer x.mu.Unlock()
	x.commands++
	if x.opt.Trace != nil {
		x.opt.Trace(line)
	}
	return line, nil
}

func (x *session) write(s string)     { _, _ = x.w.WriteString(s) } // the writer keeps its error
func (x *session) ok(text string)     { x.write("+OK " + x.plan.escapes + text + "\r\n") }
func (x *session) refuse(text string) { x.write("-ERR " + x.plan.escapes + text + "\r\n") }
func (x *session) refuseBy(code, t string) {
	x.write("-ERR [" + code + "] " + x.plan.escapes + t + "\r\n")
}

// hang reads until the client gives up, and answers nothing.
func (x *session) hang() {
	x.over = true
	if x.w.Flush() == nil {
		_, _ = io.Copy(io.Discard, x.conn) // ends with the connection
	}
}

// cut ends the conversation where it stands.
func (x *session) cut() { x.over = true }

func (x *session) handle(command, args string) {
	switch command {
	case "CAPA":
		x.capa()
		return
	case "QUIT":
		x.quit()
		return
	}
	if x.signedIn {
		x.transact(command, args)
		return
	}
	switch command {
	case "STLS":
		x.stls()
	case "USER":
		x.user = args
		x.ok("")
	case "PASS":
		x.signIn(x.user, args)
	case "AUTH":
		x.auth(args)
	default:
		x.refuse("unknown command, or not before sign-in")
	}
}

func (x *session) capa() {
	switch x.plan.capa {
	case capaRefused:
		x.refuse("unknown command")
		return
	case capaHangs:
		x.hang()
		return
	}
	lies := x.plan.capa == capaLies
	x.ok("capabilities")
	x.write("USER\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n")
	if !x.plan.noAUTH {
		x.write("SASL PLAIN\r\n")
	}
	if lies {
		x.write("SASL SCRAM-SHA-256 PLAIN\r\n")
	}
	if lies || !x.plan.noUIDL {
		x.write("UIDL\r\n")
	}
	if lies || !x.plan.noTOP {
		x.write("TOP\r\n")
	}
	if !x.opt.NoSTLS && !x.secured && !x.signedIn {
		x.write("STLS\r\n")
	}
	if x.plan.escapes != "" {
		x.write("IMPLEMENTATION " + x.plan.escapes + "\r\n")
	}
	x.write(".\r\n")
}

func (x *session) stls() {
	if x.opt.NoSTLS || x.secured {
		x.refuse("no TLS here")
		return
	}
	if x.plan.stls == stlsInjected {
		// The reply to STLS, and in the same segment replies to commands that
		// the client will only give under TLS.
		x.write("+OK begin\r\n+OK injected\r\n.\r\n-ERR [AUTH] injected\r\n")
	} else {
		x.ok("begin TLS")
	}
	if x.w.Flush() != nil {
		x.cut()
		return
	}
	if x.plan.stls == stlsBroken {
		if _, err := x.r.Peek(1); err != nil { // the client's first message
			x.cut()
			return
		}
		x.write(strings.Repeat("this is no TLS\r\n", 10))
		x.hang()
		return
	}
	if !x.startTLS() {
		x.cut()
	}
}

func (x *session) startTLS() bool {
	conn := tls.Server(x.conn, x.tls)
	if conn.HandshakeContext(x.ctx) != nil {
		return false
	}
	x.secured = true
	x.use(conn)
	return true
}

// auth takes PLAIN, on one line or on two. RFC 4616, RFC 5034.
func (x *session) auth(args string) {
	words := strings.Fields(args)
	if x.plan.noAUTH || len(words) == 0 || !strings.EqualFold(words[0], "PLAIN") {
		x.refuse("mechanism not supported")
		return
	}
	if len(words) == 1 {
		x.write("+ \r\n")
		if x.w.Flush() != nil {
			x.cut()
			return
		}
		line, err := x.line()
		if err != nil {
			x.cut()
			return
		}
		words = append(words, line)
	}
	message, err := base64.StdEncoding.DecodeString(words[1])
	fields := strings.Split(string(message), "\x00")
	if err != nil || len(fields) != 3 {
		x.refuse("malformed")
		return
	}
	x.signIn(fields[1], fields[2])
}

func (x *session) signIn(user, password string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.signIns++
	switch {
	case x.signIns <= len(x.plan.refusals):
		x.refuseBy(x.plan.refusals[x.signIns-1], "come again later")
		return
	case user != x.opt.User || password != x.opt.Password:
		x.refuseBy("AUTH", "wrong name or password")
		return
	}
	for i, r := range x.records {
		if !r.Deleted && !r.Hidden {
			x.shown = append(x.shown, i)
		}
	}
	x.signedIn = true
	x.ok("welcome")
}

func (x *session) quit() {
	defer x.cut()
	if x.signedIn {
		switch x.plan.quit {
		case quitDropped:
			return
		case quitRefused:
			x.refuseBy("SYS/TEMP", "some messages were not removed")
			return
		}
		x.update(func(records []Record) {
			for n := range x.marked {
				records[x.shown[n-1]].Deleted = !x.plan.ignoreDELE
			}
			for i := range x.retrieved {
				records[i].Hidden = x.plan.hide
			}
		})
		if x.plan.quit == quitReplyLost {
			return
		}
	}
	x.ok("bye")
}

// find returns the message of a number, or refuses.
func (x *session) find(arg string) (n, index int, ok bool) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 || n > len(x.shown) || x.marked[n] {
		x.refuse("no such message")
		return 0, 0, false
	}
	return n, x.shown[n-1], true
}

func (x *session) uidOf(index int) string {
	uid := x.message(index).UID
	if x.plan.uid != nil {
		return x.plan.uid(x.number, index+1, uid)
	}
	return uid
}

func (x *session) sizeOf(index int) string {
	size := x.message(index).Size
	if x.plan.size != nil {
		return x.plan.size(index+1, size)
	}
	return fmt.Sprint(size)
}
