// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"io"

	"restante.example/internal/intake"
	"restante.example/internal/wire"
)

// message is the text of one DATA. Its first Read asks the client for it, so
// that a store that refuses beforehand spares the client the sending.
type message struct {
	session *session
	dots    *wire.DotReader // nil before the first Read
	err     error           // what ended it, io.EOF included
}

// Read implements io.Reader.
func (m *message) Read(p []byte) (int, error) {
	if m.dots == nil {
		m.session.reply(354, "", "Send the message, end with a line of a single dot")
		m.session.link.beginData()
		m.dots = wire.NewDotReader(m.session.in)
	}
	n, err := m.dots.Read(p)
	if err != nil {
		m.err = err
	}
	return n, err
}

// drain reads what is left of the message, up to max octets, and reports
// whether its end was reached.
func (m *message) drain(max int64) bool {
	var buf [4096]byte
	for m.err == nil && max > 0 {
		n, _ := m.Read(buf[:]) // m.err has it
		max -= int64(n)
	}
	return m.err == io.EOF
}

// data answers DATA: with 354 and, after the message, a reply for each accepted
// recipient in their order. RFC 2033 section 4.2.
func (s *session) data(arg string) {
	switch {
	case arg != "":
		s.refuseData(501, "5.5.4", "DATA has no parameters")
		return
	case s.tx == nil:
		s.refuseData(503, "5.5.1", "Say MAIL first")
		return
	case s.tx.Recipients() == 0:
		// RFC 2033 section 4.2
		s.refuseData(503, "5.5.1", "No valid recipients")
		return
	}
	text := &message{session: s}
	results, err := s.tx.Data(s.server.ctx, text)
	if err != nil {
		// The message did not come whole, and nothing of it was stored.
		s.log.Warn("lmtp: message not received", "from", s.tx.Sender(), "recipients", s.tx.Recipients(),
			"octets", s.link.octets, "why", s.farewell(err))
		s.ending = true
		return
	}
	for _, r := range results {
		s.logResult(r)
	}
	defer s.reset()
	if text.dots == nil {
		// The store would not begin: every recipient has the same answer, and
		// one reply takes the place of 354.
		s.replyClass(intake.ClassOf(results[0].Err))
		s.mustBeQuiet()
		return
	}
	whole := text.drain(s.opts.Limits.Drain)
	for _, r := range results {
		s.replyClass(intake.ClassOf(r.Err))
		if r.Err == nil {
			s.messages++
		}
	}
	s.octets += results[0].Octets
	if !whole {
		s.ending = true // where the message ends is not known
	}
	s.wrong = 0
}

// refuseData refuses the DATA command itself.
func (s *session) refuseData(code int, enhanced, text string) {
	s.bad(code, enhanced, text)
	s.mustBeQuiet()
}

// mustBeQuiet ends the conversation when the client has sent on behind a DATA
// that was refused: it did not wait for the answer, as RFC 2920 section 3.1 wants,
// so what it has sent may be a message, and a message must never be taken for
// commands.
func (s *session) mustBeQuiet() {
	if s.in.Buffered() > 0 {
		s.ending = true
	}
}
