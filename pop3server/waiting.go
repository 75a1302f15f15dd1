// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"crypto/tls"
	"net/netip"
	"slices"
	"time"
)

// Stage says how far a connection that has not signed in has come.
type Stage string

// The stages.
const (
	StageHandshake Stage = "TLS handshake" // TLS is being agreed on
	StageWaiting   Stage = "no sign-in"    // the client may say who it is
	StageChecking  Stage = "signing in"    // credentials are being checked, or made to wait
)

// WaitingInfo is a connection that has not signed in.
type WaitingInfo struct {
	// ID names the connection in the log.
	ID string
	// Remote is the zero Addr where the connection has no address.
	Remote netip.Addr
	// TLS is the version, such as "TLS 1.3", or empty.
	TLS   string
	Stage Stage
	// Since is when it connected.
	Since time.Time
	// Idle is for how long no octet went either way.
	Idle time.Duration
}

// Waiting returns the connections that have not signed in, in the order in
// which they connected.
func (s *Server) Waiting() []WaitingInfo {
	conns := s.table.notSignedIn()
	list := make([]WaitingInfo, len(conns))
	for i, c := range conns {
		list[i] = c.waitingInfo()
	}
	return list
}

// EndWaiting ends every connection that has not signed in and that which
// reports true for, and returns how many when they have ended. One that becomes
// a session meanwhile is ended as End does. It must not be called from a
// callback of the connection that it ends.
func (s *Server) EndWaiting(which func(WaitingInfo) bool) int {
	var ended []*conn
	for _, c := range s.table.notSignedIn() {
		if which(c.waitingInfo()) {
			c.revoke(EndRevoked)
			ended = append(ended, c)
		}
	}
	for _, c := range ended {
		<-c.done
	}
	return len(ended)
}

// waitingInfo may be called by other goroutines.
func (c *conn) waitingInfo() WaitingInfo {
	i := WaitingInfo{ID: c.id(), Remote: c.remote, Stage: StageWaiting, Since: c.began, Idle: c.meter.idle()}
	switch version := c.secured.Load(); version {
	case 0:
	case handshaking:
		i.Stage = StageHandshake
	default:
		i.TLS = tls.VersionName(uint16(version))
	}
	if c.checking.Load() {
		i.Stage = StageChecking
	}
	return i
}

// handshaking is the value of conn.secured while TLS is being agreed on, which
// is no version.
const handshaking = 1

// notSignedIn returns the connections that may still sign in, in the order in
// which they connected.
func (t *table) notSignedIn() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*conn, 0, len(t.waiting))
	for c := range t.waiting {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *conn) int { return cmp.Compare(a.number, b.number) })
	return list
}
