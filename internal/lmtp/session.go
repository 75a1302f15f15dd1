// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"restante.example/internal/intake"
	"restante.example/internal/wire"
)

// maxLine is the longest command, its CRLF included: RFC 5321 section 4.5.3.1
// asks for 512 octets and for more where extensions add parameters.
const maxLine = 2048

// readBuffer is how many octets are read at once.
const readBuffer = 32 << 10

// session is one connection.
type session struct {
	server *Server
	conn   net.Conn
	link   *link
	in     *wire.Reader
	out    *wire.Writer
	opts   *Options
	log    *slog.Logger
	remote string

	client  string // what LHLO gave; empty before
	tx      *intake.Transaction
	utf8    bool // the transaction has SMTPUTF8
	refused int  // recipients of this transaction that were refused
	wrong   int
	ending  bool // nothing more is read

	messages, octets int64
}

func newSession(s *Server, conn net.Conn) *session {
	opts := s.opts.Load()
	sess := &session{server: s, conn: conn, opts: opts, remote: remote(conn)}
	sess.link = &link{conn: conn, timeouts: opts.Timeouts}
	sess.in = wire.NewReader(sess.link, readBuffer)
	sess.out = wire.NewWriter(sess.link, s.pool)
	sess.link.flush = sess.out.Flush
	sess.link.buffered = sess.in.Buffered
	id := "l" + strconv.FormatUint(s.ids.Add(1), 10)
	sess.log = opts.Logger.With("conn", id, "remote", sess.remote)
	return sess
}

// remote returns the client's address for logs. A client on a Unix socket has
// none.
func remote(conn net.Conn) string {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.IP.String()
	}
	return conn.RemoteAddr().Network()
}

func (s *session) wake() { s.link.wake() }

// refuse turns the client away before any conversation.
func (s *session) refuse() {
	s.log.Warn("lmtp: too many sessions", "limit", s.opts.Limits.Sessions)
	s.reply(421, "4.3.2", "Too many connections, come back later")
	s.out.Flush() // a client that is gone need not hear it
}

// serve holds the conversation.
func (s *session) serve() {
	why := "error"
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("lmtp: panic", "panic", p, "stack", string(debug.Stack()))
			why = "panic"
		}
		s.log.Debug("lmtp: session ended", "client", s.client, "messages", s.messages, "octets", s.octets, "why", why)
	}()
	s.reply(220, "", s.opts.Hostname+" LMTP restante")
	for {
		s.link.beginLine()
		line, err := s.in.ReadLine(maxLine)
		switch {
		case err == nil:
			s.command(string(line))
		case err == wire.ErrLineTooLong:
			s.bad(500, "5.5.2", "Line too long")
		default:
			why = s.farewell(err)
			return
		}
		if s.ending {
			why = "quit or refused"
			s.out.Flush() // a client that is gone need not hear it
			return
		}
	}
}

// farewell says why the conversation ends, to the client where it may still be
// there, and to the log.
func (s *session) farewell(err error) string {
	why := err.Error()
	switch {
	case errors.Is(err, errDraining):
		why = "shutdown"
		s.reply(421, "4.3.2", "The server is going down, come back later")
	case errors.Is(err, os.ErrDeadlineExceeded):
		why = "timeout"
		s.reply(421, "4.4.2", "Too slow, closing")
	case errors.Is(err, wire.ErrLineEndless):
		s.reply(421, "4.5.0", "Line without end, closing")
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by client"
	}
	s.out.Flush() // a client that is gone need not hear it
	return why
}

// reply writes one line; an enhanced code of "" is left out, as in a greeting.
func (s *session) reply(code int, enhanced, text string) {
	s.out.WriteString(replyLine(code, ' ', enhanced, text))
}

func replyLine(code int, sep byte, enhanced, text string) string {
	if enhanced != "" {
		enhanced += " "
	}
	return strconv.Itoa(code) + string(sep) + enhanced + text + "\r\n"
}

// bad answers a command that was wrong, and ends the conversation after too
// many of them.
func (s *session) bad(code int, enhanced, text string) {
	s.wrong++
	if s.wrong > s.opts.Limits.WrongCommands {
		s.reply(421, "4.7.0", "Too many wrong commands, closing")
		s.ending = true
		return
	}
	s.reply(code, enhanced, text)
}

// reset forgets the transaction, as RSET does.
func (s *session) reset() {
	s.tx, s.utf8, s.refused = nil, false, 0
}

// command answers one command line.
func (s *session) command(line string) {
	if i := strings.IndexFunc(line, isControl); i >= 0 {
		s.bad(500, "5.5.2", "Control characters are not allowed")
		return
	}
	verb, arg, _ := strings.Cut(line, " ")
	arg = strings.Trim(arg, " ")
	switch strings.ToUpper(verb) {
	case "LHLO":
		s.lhlo(arg)
	case "MAIL":
		s.mail(arg)
	case "RCPT":
		s.rcpt(arg)
	case "DATA":
		s.data(arg)
	case "RSET":
		s.reset()
		s.reply(250, "2.0.0", "OK")
	case "NOOP":
		s.reply(250, "2.0.0", "OK")
	case "QUIT":
		s.reply(221, "2.0.0", "Goodbye")
		s.ending = true
	case "VRFY":
		if arg == "" {
			s.bad(501, "5.5.4", "VRFY needs an address")
			return
		}
		// RFC 5321 section 3.5.3: neither yes nor no.
		s.reply(252, "2.5.0", "Send some mail, I'll see")
	case "HELP":
		s.reply(214, "2.0.0", "LHLO MAIL RCPT DATA RSET NOOP VRFY QUIT")
	case "HELO", "EHLO":
		// RFC 2033 section 4.1: these must be refused.
		s.bad(500, "5.5.1", "This is LMTP, say LHLO")
	case "BDAT", "STARTTLS", "AUTH", "EXPN", "TURN", "ETRN":
		s.bad(502, "5.5.1", "Not offered here")
	default:
		s.bad(500, "5.5.1", "Unknown command")
	}
}

// isControl reports C0 and DEL; what is UTF-8 is looked at where it may stand.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// lhlo answers LHLO. RFC 2033 section 4.1.
func (s *session) lhlo(arg string) {
	if arg == "" || strings.ContainsAny(arg, " ") {
		s.bad(501, "5.5.4", "LHLO needs a host name")
		return
	}
	s.reset()
	s.client = arg
	s.opts = s.server.opts.Load()
	lines := []string{
		s.opts.Hostname,
		"PIPELINING",
		"ENHANCEDSTATUSCODES",
		// RFC 1870 section 4: 0 says that there is no fixed limit.
		"SIZE " + strconv.FormatInt(s.opts.Intake.MaxSize(), 10),
		"8BITMIME",
		"SMTPUTF8",
	}
	for i, text := range lines {
		sep := byte('-')
		if i == len(lines)-1 {
			sep = ' '
		}
		s.out.WriteString(replyLine(250, sep, "", text))
	}
}
