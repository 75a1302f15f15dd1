// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"io"
	"net/netip"
	"time"

	"restante.example/internal/control"
	"restante.example/pop3server"
)

// Operations on the connections of mail programs.
const (
	OpSessions = "sessions"
	OpKick     = "kick"
)

// SessionInfo is a session that is signed in.
type SessionInfo struct {
	Connection string    `json:"connection"`
	User       string    `json:"user"`
	Device     string    `json:"device,omitempty"`
	View       string    `json:"view,omitempty"`
	Address    string    `json:"address,omitempty"`
	TLS        string    `json:"tls,omitempty"`
	Mechanism  string    `json:"mechanism"`
	Since      time.Time `json:"since"`
	Idle       float64   `json:"idle_seconds"`
	Retrieved  int       `json:"retrieved"`
	Deleted    int       `json:"deleted"`
}

// WaitingInfo is a connection that has not signed in.
type WaitingInfo struct {
	Connection string `json:"connection"`
	Address    string `json:"address,omitempty"`
	TLS        string `json:"tls,omitempty"`
	// State is "TLS handshake", "no sign-in" or "signing in".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	Age   float64   `json:"age_seconds"`
	Idle  float64   `json:"idle_seconds"`
}

// Sessions are the connections of mail programs.
type Sessions struct {
	Sessions []SessionInfo `json:"sessions"`
	Waiting  []WaitingInfo `json:"not_signed_in"`
}

// SessionsArgs choose among them; what is empty chooses all.
type SessionsArgs struct {
	User string `json:"user,omitempty"`
	// Address is an address, or a network such as 192.0.2.0/24.
	Address string `json:"address,omitempty"`
}

// KickArgs say what is ended: the sessions of a user, one connection, or what
// comes from an address or a network.
type KickArgs struct {
	User       string `json:"user,omitempty"`
	Connection string `json:"connection,omitempty"`
	Address    string `json:"address,omitempty"`
}

// Kicked says how many connections have ended.
type Kicked struct {
	Sessions int `json:"sessions"`
	Waiting  int `json:"not_signed_in"`
}

func everySession(pop3server.SessionInfo) bool { return true }

// sessions returns those that a function chooses.
func (s *Server) sessions(which func(pop3server.SessionInfo) bool) []SessionInfo {
	list := []SessionInfo{}
	for _, i := range s.pop3.Sessions() {
		if which(i) {
			list = append(list, SessionInfo{Connection: i.ID, User: i.User, Device: i.Device, View: string(i.View), Address: addressText(i.Remote),
				TLS: i.TLS, Mechanism: i.Mechanism, Since: i.Since, Idle: i.Idle.Seconds(), Retrieved: i.Retrieved, Deleted: i.Deleted})
		}
	}
	return list
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func (s *Server) listSessions(ctx context.Context, a SessionsArgs, _ io.Reader) (Sessions, error) {
	network, err := parseNetwork(a.Address)
	if err != nil {
		return Sessions{}, err
	}
	byUser := everySession
	if a.User != "" {
		if byUser, err = s.sessionsOf(ctx, a.User); err != nil {
			return Sessions{}, err
		}
	}
	out := Sessions{Waiting: []WaitingInfo{}}
	out.Sessions = s.sessions(func(i pop3server.SessionInfo) bool { return byUser(i) && network(i.Remote) })
	if a.User != "" {
		return out, nil // who has not signed in is nobody yet
	}
	for _, i := range s.pop3.Waiting() {
		if network(i.Remote) {
			out.Waiting = append(out.Waiting, WaitingInfo{Connection: i.ID, Address: addressText(i.Remote), TLS: i.TLS, State: string(i.Stage),
				Since: i.Since, Age: time.Since(i.Since).Seconds(), Idle: i.Idle.Seconds()})
		}
	}
	return out, nil
}

// sessionsOf chooses the sessions of a user, however the name is written.
func (s *Server) sessionsOf(ctx context.Context, name string) (func(pop3server.SessionInfo) bool, error) {
	u, err := s.office.directory.Get(ctx, name)
	if err != nil {
		return nil, refusal(err)
	}
	return func(i pop3server.SessionInfo) bool { return i.Maildrop == u.ID }, nil
}

// parseNetwork returns whether an address is the one that is written, or in the
// network; an empty text stands for all of them.
func parseNetwork(text string) (func(netip.Addr) bool, error) {
	if text == "" {
		return func(netip.Addr) bool { return true }, nil
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return func(a netip.Addr) bool { return p.Contains(a.WithZone("")) }, nil
	}
	one, err := netip.ParseAddr(text)
	if err != nil {
		return nil, &control.Error{Code: control.CodeArguments, Text: "\"" + text +
			"\" is neither an address, such as 192.0.2.7, nor a network, such as 192.0.2.0/24"}
	}
	return func(a netip.Addr) bool { return a == one.Unmap() }, nil
}

// kick ends connections without deleting anything; a QUIT that is being
// committed is finished before.
func (s *Server) kick(ctx context.Context, a KickArgs, _ io.Reader) (Kicked, error) {
	// Who has not signed in goes first: one that does so meanwhile is a session by
	// the time that those are looked at.
	var k Kicked
	switch {
	case a.User != "":
		which, err := s.sessionsOf(ctx, a.User)
		if err != nil {
			return Kicked{}, err
		}
		k.Sessions = s.pop3.End(which)
	case a.Connection != "":
		k.Waiting = s.pop3.EndWaiting(func(i pop3server.WaitingInfo) bool { return i.ID == a.Connection })
		k.Sessions = s.pop3.End(func(i pop3server.SessionInfo) bool { return i.ID == a.Connection })
	case a.Address != "":
		network, err := parseNetwork(a.Address)
		if err != nil {
			return Kicked{}, err
		}
		k.Waiting = s.pop3.EndWaiting(func(i pop3server.WaitingInfo) bool { return network(i.Remote) })
		k.Sessions = s.pop3.End(func(i pop3server.SessionInfo) bool { return network(i.Remote) })
	default:
		return Kicked{}, &control.Error{Code: control.CodeArguments, Text: "say whose connections are to be ended: of a user, one connection, or from an address"}
	}
	s.log.Info("connections were ended by command", "user", a.User, "connection", a.Connection, "address", a.Address,
		"sessions", k.Sessions, "not_signed_in", k.Waiting)
	return k, nil
}
