// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"restante.example/pop3"
)

// Want is a message to be retrieved.
type Want struct {
	// Number is the message number.
	Number int
	// Size is what LIST said, in octets, for windows and limits; 0 or less
	// where it is not known.
	Size int64
}

// RetrAll retrieves messages in the order of wants. Where the server announces
// PIPELINING (RFC 2449 section 6.6), commands are sent ahead, so that a round
// trip is not paid for each message; the windows of Options bound how far.
//
// Each message is to be read in the body of the loop; what is not read of it
// is passed over as Message.Close does. The Message is never nil and names the
// number. With a *pop3.Error that message was refused, and the sequence goes
// on; any other error ends it. When the connection fails while more than one
// reply is awaited, the error is ErrPipelining as well.
//
// Breaking off is possible; what was asked for ahead is passed over up to
// 8 MiB, or else the connection is given up.
func (c *Client) RetrAll(ctx context.Context, wants iter.Seq[Want]) iter.Seq2[*Message, error] {
	return c.messages(ctx, "RETR", "", wants)
}

// TopAll is RetrAll with TOP.
func (c *Client) TopAll(ctx context.Context, numbers iter.Seq[int], lines int) iter.Seq2[*Message, error] {
	return c.messages(ctx, "TOP", " "+strconv.Itoa(lines), func(yield func(Want) bool) {
		for n := range numbers {
			if !yield(Want{Number: n}) {
				return
			}
		}
	})
}

// DeleAll marks messages deleted, with commands sent ahead as in RetrAll, and
// yields each number with nil or the error of its reply. A *pop3.Error leaves
// that message unmarked, and the sequence goes on; any other error ends it.
// After breaking off, numbers that were not yielded may be marked too.
func (c *Client) DeleAll(ctx context.Context, numbers iter.Seq[int]) iter.Seq2[int, error] {
	wants := func(yield func(Want) bool) {
		for n := range numbers {
			if !yield(Want{Number: n}) {
				return
			}
		}
	}
	return func(yield func(int, error) bool) {
		c.pipelined(ctx, "DELE", "", wants, func(w Want, err error) bool {
			return yield(w.Number, err)
		})
	}
}

func (c *Client) messages(ctx context.Context, command, tail string, wants iter.Seq[Want]) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		c.pipelined(ctx, command, tail, wants, func(w Want, err error) bool {
			if err != nil {
				return yield(&Message{Number: w.Number, c: c, err: err}, err)
			}
			m := c.newMessage(command, w.Number, c.limitOf(w.Size))
			more := yield(m, nil)
			// What the caller left is passed over; a failure of that is kept
			// by the Client and ends the sequence.
			_ = m.Close()
			return more
		})
	}
}

// pipeline is the commands that are under way.
type pipeline struct {
	c             *Client
	command, tail string
	next          func() (Want, bool)
	window        int
	queue         []Want // ring of window places, in the order sent
	first, count  int
	octets        int64 // of the messages in queue
	ahead         *Want // taken from next, does not fit yet
	dry           bool  // next has no more
	wrong         error // what next gave cannot be asked for
	line          []byte
}

// pipelined sends the command for each of wants and hands each reply to
// handle, with a nil error while its text, if any, is to be read.
func (c *Client) pipelined(ctx context.Context, command, tail string, wants iter.Seq[Want], handle func(Want, error) bool) {
	window, err := c.windowSize(ctx)
	if err != nil {
		handle(Want{}, err)
		return
	}
	end, err := c.begin(ctx, pop3.Transaction, command)
	if err != nil {
		handle(Want{}, err)
		return
	}
	next, stop := iter.Pull(wants)
	defer stop()
	p := &pipeline{c: c, command: command, tail: tail, next: next, window: window, queue: make([]Want, window)}
	if w, err := p.run(handle); err != nil {
		end()
		handle(w, err)
		return
	}
	end()
}

// windowSize returns how many commands may be under way.
func (c *Client) windowSize(ctx context.Context) (int, error) {
	if c.opt.NoPipelining || c.state != pop3.Transaction || c.active != "" {
		return 1, nil
	}
	caps, err := c.Capabilities(ctx)
	if err != nil {
		return 0, err
	}
	if !caps.Has(pop3.CapPipelining) {
		return 1, nil
	}
	return max(c.opt.Window, 1), nil
}

// run returns the error that is still to be handled, and for which message.
func (p *pipeline) run(handle func(Want, error) bool) (Want, error) {
	settled := false
	defer func() {
		if !settled && p.c.Err() == nil { // the caller's loop has panicked
			_ = p.c.fail(p.command, errAbandoned)
		}
	}()
	for {
		p.refill()
		if p.count == 0 {
			break
		}
		w := p.queue[p.first]
		status, err := p.c.status(p.command)
		if err != nil {
			return w, p.blame(err)
		}
		p.first = (p.first + 1) % p.window
		p.count--
		more := handle(w, status.Err(p.command))
		p.octets -= p.cost(w)
		if err := p.c.Err(); err != nil {
			return w, keepIf(more, err)
		}
		if !more {
			p.passOver()
			settled = true
			return w, nil
		}
	}
	settled = true
	if err := p.c.out.wait(); err != nil {
		return Want{}, p.c.fail(p.command, err)
	}
	return Want{}, p.wrong
}

// refill sends commands as long as there is room, but not for each single
// place that became free: that would be a packet a message.
func (p *pipeline) refill() {
	if p.count > p.window*3/4 {
		return
	}
	p.line = p.line[:0]
	for p.count < p.window {
		w, ok := p.take()
		if !ok {
			break
		}
		p.queue[(p.first+p.count)%p.window] = w
		p.count++
		p.octets += p.cost(w)
		from := len(p.line)
		p.line = append(p.line, p.command...)
		p.line = append(p.line, ' ')
		p.line = strconv.AppendInt(p.line, int64(w.Number), 10)
		p.line = append(p.line, p.tail...)
		if p.c.opt.Trace != nil {
			p.c.traceSent(string(p.line[from:]))
		}
		p.line = append(p.line, '\r', '\n')
	}
	if len(p.line) > 0 {
		p.c.out.send(p.line)
	}
}

// take returns the next message to be asked for, if it fits.
func (p *pipeline) take() (Want, bool) {
	if p.ahead == nil {
		if p.dry {
			return Want{}, false
		}
		w, ok := p.next()
		if ok && w.Number < 1 {
			p.wrong, ok = fmt.Errorf("%w: message number %d", ErrArgument, w.Number), false
		}
		if !ok {
			p.dry = true
			return Want{}, false
		}
		p.ahead = &w
	}
	if p.count > 0 && p.octets+p.cost(*p.ahead) > p.c.opt.WindowOctets {
		return Want{}, false
	}
	w := *p.ahead
	p.ahead = nil
	return w, true
}

// cost is what a message counts in the window of octets.
func (p *pipeline) cost(w Want) int64 {
	switch {
	case p.command == "DELE":
		return 0
	case p.command == "TOP" || w.Size <= 0:
		return guessSize
	}
	return min(w.Size, p.c.opt.WindowOctets)
}

// blame names pipelining where it may be what the server fails at.
func (p *pipeline) blame(err error) error {
	if p.count < 2 {
		return err
	}
	if writeErr := p.c.out.wait(); writeErr != nil {
		err = errors.Join(err, writeErr)
	}
	return blamePipelining(err)
}

// passOver reads the replies that nobody wants any more.
func (p *pipeline) passOver() {
	from := p.c.r.Received()
	for ; p.count > 0; p.count-- {
		status, err := p.c.status(p.command)
		if err != nil {
			return // the Client keeps the error
		}
		if status.OK && p.command != "DELE" {
			m := p.c.newMessage(p.command, 0, p.c.opt.MaxMessage)
			if m.Close() != nil {
				return
			}
		}
		if p.c.r.Received()-from > maxDrain {
			_ = p.c.fail(p.command, errAbandoned)
			return
		}
	}
	if err := p.c.out.wait(); err != nil {
		_ = p.c.fail(p.command, err)
	}
}
