// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// errDraining ends the wait for a command when the server shuts down.
var errDraining = errors.New("lmtp: the server shuts down")

// link is the connection as reader and writer of a session: it knows how long
// the client may take for what is due now, and sends the replies that are
// waiting before it waits itself, so that pipelined commands are answered in as
// few writes as possible and none is held back. RFC 2920 section 3.2.
type link struct {
	conn     net.Conn
	timeouts Timeouts
	flush    func() error // sends the replies that are waiting
	buffered func() int   // octets received and not read

	// One of these is what the client is doing.
	inData    bool
	lineStart time.Time     // when the first octet of a command came; zero before
	waited    time.Duration // how long the octets of this message were waited for
	octets    int64         // how many came

	mu    sync.Mutex
	woken bool
}

// beginLine says that a command is due.
func (l *link) beginLine() {
	l.setData(false)
	l.lineStart = time.Time{}
	if l.buffered() > 0 {
		l.lineStart = time.Now()
	}
}

// beginData says that a message is due.
func (l *link) beginData() {
	l.setData(true)
	l.waited, l.octets = 0, 0
}

func (l *link) setData(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inData = on
}

// wake ends the wait for a command, now and from now on. A message that is
// coming in is not disturbed. It may be called by any goroutine.
func (l *link) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.woken = true
	if !l.inData {
		l.conn.SetReadDeadline(time.Unix(1, 0)) // a dead connection fails by itself
	}
}

// allowed returns how long the next read may take.
func (l *link) allowed(now time.Time) time.Duration {
	t := l.timeouts
	if !l.inData {
		if l.lineStart.IsZero() {
			return t.Command
		}
		return t.Line - now.Sub(l.lineStart)
	}
	// Only time spent waiting for the client counts: a slow disk is not its fault.
	byRate := t.Data + time.Duration(l.octets/t.DataRate)*time.Second - l.waited
	return min(t.Data, t.DataWhole-l.waited, byRate)
}

// Read implements io.Reader.
func (l *link) Read(p []byte) (int, error) {
	if err := l.flush(); err != nil {
		return 0, err
	}
	now := time.Now()
	l.mu.Lock()
	if l.woken && !l.inData {
		l.mu.Unlock()
		return 0, errDraining
	}
	err := l.conn.SetReadDeadline(now.Add(l.allowed(now)))
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := l.conn.Read(p)
	after := time.Now()
	l.waited += after.Sub(now)
	l.octets += int64(n)
	if n > 0 && l.lineStart.IsZero() {
		l.lineStart = after
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.mu.Lock()
		if l.woken && !l.inData {
			err = errDraining
		}
		l.mu.Unlock()
	}
	return n, err
}

// Write implements io.Writer.
func (l *link) Write(p []byte) (int, error) {
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.timeouts.Write)); err != nil {
		return 0, err
	}
	return l.conn.Write(p)
}
