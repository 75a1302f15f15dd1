// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/bits"
	"strconv"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// session is what a connection holds after sign-in. Its counters are changed
// under the connection's lock.
type session struct {
	principal maildrop.Principal
	mechanism string
	tls       string
	since     time.Time
	snap      maildrop.Snapshot
	total     int // messages in snap
	key       viewKey

	gone           bool // the maildrop was given back
	told           bool // the store knows where the session comes from
	retrieved, top int
	deleted        int   // messages marked
	deletedOctets  int64 // of those
	removed        int   // messages that QUIT removed

	marks  []uint64         // a bit per message that is marked deleted; nil before the first
	failed map[int]struct{} // messages that could not be read: not to be deleted
}

func (s *session) marked(n int) bool {
	return s.marks != nil && s.marks[n/64]&(1<<(n%64)) != 0
}

func (s *session) mark(n int) {
	if s.marks == nil {
		s.marks = make([]uint64, s.total/64+1)
	}
	s.marks[n/64] |= 1 << (n % 64)
	s.deleted++
	s.deletedOctets += s.snap.Info(n).Size
}

// numbers returns the marked messages in order.
func (s *session) numbers() []int {
	list := make([]int, 0, s.deleted)
	for i, word := range s.marks {
		for ; word != 0; word &= word - 1 {
			list = append(list, i*64+bits.TrailingZeros64(word))
		}
	}
	return list
}

// left returns how many messages are there and not marked, and their octets.
func (s *session) left() (int, int64) {
	return s.total - s.deleted, s.snap.Octets() - s.deletedOctets
}

// revoked reports whether somebody has taken the view away.
func (s *session) revoked() bool {
	select {
	case <-s.snap.Revoked():
		return true
	default:
		return false
	}
}

// transaction answers a command after sign-in. RFC 1939 section 5.
func (c *conn) transaction(cmd pop3.Command) Ending {
	if c.session.revoked() {
		return EndRevoked
	}
	switch cmd.Word {
	case pop3.CmdRetr:
		return c.retrCommand(cmd)
	case pop3.CmdTop:
		return c.topCommand(cmd)
	case pop3.CmdDele:
		return c.deleCommand(cmd)
	case pop3.CmdList:
		return c.listing(cmd, listRow, c.listAll)
	case pop3.CmdUIDL:
		return c.listing(cmd, uidlRow, c.uidlAll)
	case pop3.CmdStat, pop3.CmdNoop, pop3.CmdRset, pop3.CmdCapa, pop3.CmdQuit:
		if ok, end := c.bare(cmd); !ok {
			return end
		}
	case pop3.CmdLang:
		return c.langCommand(cmd)
	case pop3.CmdUser, pop3.CmdPass, pop3.CmdAuth, pop3.CmdSTLS, pop3.CmdAPOP, pop3.CmdUTF8:
		return c.wrongCommand("you are signed in already")
	default:
		return c.wrongCommand("there is no such command")
	}
	switch cmd.Word {
	case pop3.CmdStat:
		c.stat()
	case pop3.CmdNoop:
		c.ok("")
	case pop3.CmdRset:
		c.reset()
	case pop3.CmdCapa:
		c.capabilities()
	case pop3.CmdQuit:
		return c.quit()
	}
	return ""
}

// count changes what other goroutines may see of the session.
func (c *conn) count(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// stat answers STAT: exactly two numbers. RFC 1939 section 5.
func (c *conn) stat() {
	n, octets := c.session.left()
	b := append(c.w.Available(), "+OK "...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, octets, 10)
	c.row(b)
}

// okCount answers how many messages there are, in words.
func (c *conn) okCount(n int, octets int64) {
	b := append(c.w.Available(), "+OK "...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, c.say(" messages (")...)
	b = strconv.AppendInt(b, octets, 10)
	b = append(b, c.say(" octets)")...)
	c.row(b)
}

// row writes a first line that was built in the writer's own buffer.
func (c *conn) row(b []byte) {
	if c.tracing {
		c.trace("S", string(b))
	}
	_, _ = c.w.Write(append(b, '\r', '\n')) // the error stays in the writer
}

// deleCommand marks a message. RFC 1939 section 5, DELE.
func (c *conn) deleCommand(cmd pop3.Command) Ending {
	n, end, ok := c.message(cmd)
	if !ok {
		return end
	}
	s := c.session
	if _, failed := s.failed[n]; failed {
		c.refuse(pop3.CodeSysPerm, "the message could not be read and is not deleted")
		return ""
	}
	c.count(func() { s.mark(n) })
	c.ok("marked deleted")
	return ""
}

// reset takes every mark away. RFC 1939 section 5, RSET.
func (c *conn) reset() {
	s := c.session
	c.count(func() { s.marks, s.deleted, s.deletedOctets = nil, 0, 0 })
	c.okCount(s.left())
}

// quit removes the marked messages and answers only then. RFC 1939 section 6.
func (c *conn) quit() Ending {
	s := c.session
	// What was answered before has the time that answers have. A client that does
	// not take it loses no mail.
	if c.w.Buffered() > writeBuffer {
		if err := c.w.Flush(); err != nil {
			return c.writeFailed(err)
		}
	}
	if s.deleted == 0 {
		c.letGo()
		c.ok("bye")
		return c.flushLast(EndQuit)
	}
	c.note()
	// Whatever happens from here on, the decision is made: neither a shutdown
	// nor a lost connection may stop it half way.
	began := time.Now()
	outcomes, err := s.snap.Remove(context.WithoutCancel(c.ctx), s.numbers())
	removed := 0
	for _, o := range outcomes {
		if o == maildrop.Removed {
			removed++
		}
	}
	stayed := s.deleted - removed
	c.observeRemoval(removed, stayed, began)
	c.count(func() { s.removed = removed })
	c.letGo()
	switch {
	case errors.Is(err, maildrop.ErrRevoked):
		return cmp.Or(c.meter.interrupted(), EndRevoked)
	case err == nil && stayed == 0:
		c.ok("bye")
		return c.flushLast(EndQuit)
	}
	c.log(slog.LevelError, "not every message was removed", slog.String("user", s.principal.Name),
		slog.Int("removed", removed), slog.Int("stayed", stayed), slog.Any("error", err))
	c.refuse(pop3.CodeSysTemp, "%d of %d deleted messages were not removed", stayed, s.deleted)
	return c.flushLast(EndQuitFailed)
}

// message reads the one number that a command takes, of a message that is
// there and not marked deleted; otherwise it refuses.
func (c *conn) message(cmd pop3.Command) (int, Ending, bool) {
	var word [1]string
	words, ok := cmd.Words(word[:0], 1)
	if !ok || len(words) == 0 {
		return 0, c.wrongCommand("%s takes the number of a message", cmd.Word), false
	}
	return c.number1(words[0])
}

// number1 reads a message number. RFC 1939 section 5: decimal, from 1 on.
func (c *conn) number1(word string) (int, Ending, bool) {
	n, err := pop3.ParseNumber(word)
	switch {
	case err != nil:
		return 0, c.wrongCommand("a message number is a decimal number from 1 on"), false
	case n > c.session.total:
		c.refuse("", "there is no such message")
		return 0, "", false
	case c.session.marked(n):
		c.refuse("", "the message is marked deleted")
		return 0, "", false
	}
	return n, "", true
}
