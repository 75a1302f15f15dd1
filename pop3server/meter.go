// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// meter is the connection below TLS. It counts octets, holds a client to a
// minimum rate while it takes a reply, and lets other goroutines interrupt
// what is being waited for.
type meter struct {
	net.Conn
	start time.Time // what active counts from; monotonic
	slack time.Duration
	rate  int
	// glance is after what time it is looked at how much of a write a client has
	// taken: who takes little is slow, and not silent. It is 0 for a connection
	// that may not go on after that; writes have up to piece octets there.
	glance time.Duration
	piece  int

	in, out atomic.Int64
	active  atomic.Int64 // when an octet last went either way, as time since start

	records *[]byte       // if not nil, what is written is gathered here
	late    time.Duration // how far the client is behind the minimum rate
	cert    *tls.Certificate

	mu      sync.Mutex
	why     Ending        // who interrupts says why; the first counts
	hard    bool          // interrupted in the middle of whatever it was
	parting time.Duration // not 0: the last reply is being written, and may take so long
}

// errInterrupted is what reading and writing fail with after an interruption.
var errInterrupted = errors.New("pop3server: interrupted")

// partingTime is how long the last words to a client may take.
const partingTime = time.Second

func (m *meter) touch() { m.active.Store(int64(time.Since(m.start))) }

// idle returns for how long no octet went either way.
func (m *meter) idle() time.Duration {
	return max(0, time.Since(m.start)-time.Duration(m.active.Load()))
}

// Read implements net.Conn. The deadline is set by readBy.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 {
		m.in.Add(int64(n))
		m.late = 0 // what comes now begins a new account
		m.touch()
	}
	return n, err
}

// paid is how many octets at a time a client is given time for.
const paid = 32 << 10

// watch sets glance and piece, so that a reader at the minimum rate is known to be
// there before its session is taken for silent. A connection of package tls
// cannot go on after a deadline for writing, and others may have one below.
func (m *meter) watch(takeOver time.Duration) {
	m.glance, m.piece = 10*time.Second, paid
	if takeOver > 0 {
		m.glance = min(m.glance, takeOver/2)
		m.piece = min(paid, max(1, int(int64(m.rate)*takeOver.Milliseconds()/2000)))
	}
	switch m.Conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		if reflect.TypeOf(m.Conn) != pipeType {
			m.glance = 0
		}
	}
}

var pipeType = func() reflect.Type {
	end, _ := net.Pipe()
	return reflect.TypeOf(end)
}()

// Write implements net.Conn. The time that a client may take is what the
// octets need at the minimum rate, and once a slack; time won is not saved up.
func (m *meter) Write(p []byte) (int, error) {
	if m.records != nil {
		*m.records = append(*m.records, p...)
		return len(p), nil
	}
	for done := 0; ; {
		piece := p[done:]
		if m.glance == 0 {
			piece = piece[:min(len(piece), m.piece)]
		}
		began := time.Now()
		if err := m.writeFor(m.patience(len(piece))-m.late, began); err != nil {
			return done, err
		}
		n, err := m.Conn.Write(piece)
		if n > 0 {
			m.out.Add(int64(n))
			m.touch()
		}
		done += n
		m.late = max(0, m.late+time.Since(began)-m.needs(n))
		switch {
		case err == nil && done < len(p) && n > 0:
		case m.glance == 0, !errors.Is(err, os.ErrDeadlineExceeded), m.late >= m.patience(len(p)-done), m.leaving():
			return done, err
		}
	}
}

// patience is how late a client may be that has n octets to take.
func (m *meter) patience(n int) time.Duration { return m.slack + m.needs(min(n, paid)) }

// needs returns how long n octets take at the minimum rate.
func (m *meter) needs(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(m.rate)
}

func (m *meter) writeFor(d time.Duration, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parting > 0 {
		d = min(d, m.parting)
	} else if m.hard {
		return errInterrupted
	} else if m.glance > 0 {
		d = min(d, m.glance)
	}
	return m.Conn.SetWriteDeadline(now.Add(d))
}

// leaving reports whether a deadline may have been another's than the client's.
func (m *meter) leaving() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hard || m.parting > 0
}

// readBy sets until when reading may wait.
func (m *meter) readBy(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.why != "" {
		return errInterrupted
	}
	return m.Conn.SetReadDeadline(t)
}

// longAgo is a deadline that wakes up whoever is waiting.
var longAgo = time.Unix(1, 0)

// interrupt makes reading fail, now or when it is next tried, and with hard
// writing too.
func (m *meter) interrupt(why Ending, hard bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.why == "" {
		m.why = why
	}
	// An error of these means that the connection is closed already.
	_ = m.Conn.SetReadDeadline(longAgo)
	if hard && !m.hard {
		m.hard = true
		if m.parting == 0 {
			_ = m.Conn.SetWriteDeadline(longAgo)
		}
	}
}

// interrupted returns why the connection is to end, or "".
func (m *meter) interrupted() Ending {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.why
}

// part says that the last reply is being written, which is finished even when
// an interruption comes.
func (m *meter) part(limit time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parting = limit
}

// NoteCertificate implements sasl.CertificateNoter; tls-server-end-point needs
// it. RFC 5929 section 4.
func (m *meter) NoteCertificate(cert *tls.Certificate) { m.cert = cert }
