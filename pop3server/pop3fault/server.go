// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// Options says what the server has and does. Nil and zero fields mean the
// defaults.
type Options struct {
	// Faults are what the server does wrong, all at once; see Fault.Sessions.
	Faults []Fault
	// Messages is the mail. Default: Numbered(5, 1000).
	Messages []Message
	// User and Password are who may sign in. Default: "u1" and "secret".
	User, Password string
	// ImplicitTLS makes TLS begin with the connection.
	ImplicitTLS bool
	// NoSTLS neither offers nor takes STLS.
	NoSTLS bool
	// Pace is how long OneOctetASecond waits for an octet. Default: a second.
	Pace time.Duration
	// Trace gets each line that clients send, if not nil. Calls do not overlap.
	Trace func(line string)
}

// Record is what became of a message.
type Record struct {
	// UID is the id that the message was given, whatever the server told.
	UID string
	// Retrieved counts how often RETR sent it whole, with its final dot.
	Retrieved int
	// Deleted: a QUIT deleted it.
	Deleted bool
	// Hidden: HideRetrieved keeps it from later sessions.
	Hidden bool
}

// Server is a maildrop with a server before it. All methods may be used by any
// number of goroutines.
type Server struct {
	opt     Options
	tls     *tls.Config
	roots   *x509.CertPool
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	listener net.Listener

	mu       sync.Mutex
	records  []Record
	sessions int
	signIns  int
	commands int
}

// New makes a server that listens nowhere: hand it connections with Serve, or
// let a client dial it by DialContext. It ends with ctx, or with Close.
func New(ctx context.Context, opt *Options) (*Server, error) {
	s := &Server{}
	if opt != nil {
		s.opt = *opt
	}
	if s.opt.Messages == nil {
		s.opt.Messages = Numbered(5, 1000)
	}
	if s.opt.User == "" {
		s.opt.User, s.opt.Password = "u1", "secret"
	}
	if s.opt.Pace == 0 {
		s.opt.Pace = time.Second
	}
	s.opt.Messages = append([]Message(nil), s.opt.Messages...)
	var all plan
	for _, f := range s.opt.Faults {
		f.set(&all)
	}
	if n := all.count; n > 0 {
		s.opt.Messages = Numbered(n, 300)
	}
	for n, replace := range all.replace {
		if n < 1 || n > len(s.opt.Messages) {
			return nil, fmt.Errorf("pop3fault: there is no message %d to spoil", n)
		}
		s.opt.Messages[n-1] = replace(n)
	}
	for i, m := range s.opt.Messages {
		if all.escapes != "" {
			s.opt.Messages[i] = prefixed("X-Escapes: "+all.escapes+"\r\n", m)
		}
		s.records = append(s.records, Record{UID: m.UID})
	}
	cert, roots, err := selfSigned()
	if err != nil {
		return nil, err
	}
	s.roots = roots
	s.tls = &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: []string{"pop3"},
		// Tickets are sent while the client may be writing: a connection in
		// memory, which buffers nothing, would block both sides.
		SessionTicketsDisabled: true,
	}
	s.ctx, s.stop = context.WithCancel(ctx)
	return s, nil
}

// Start makes a server that listens on a free port of 127.0.0.1 until ctx ends
// or it is closed.
func Start(ctx context.Context, opt *Options) (*Server, error) {
	s, err := New(ctx, opt)
	if err != nil {
		return nil, err
	}
	s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("pop3fault: %w", err)
	}
	context.AfterFunc(s.ctx, func() { _ = s.listener.Close() })
	s.running.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return // closed
			}
			s.running.Go(func() { s.Serve(conn) })
		}
	})
	return s, nil
}

// Address is where a server that was started listens, host and port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends all sessions and waits for them.
func (s *Server) Close() error {
	s.stop()
	s.running.Wait()
	return nil
}

// DialContext connects to the server in memory, whatever the address: the
// server is a dialer for clients under test, with testing/synctest too.
func (s *Server) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := errors.Join(ctx.Err(), s.ctx.Err()); err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	s.running.Go(func() { s.Serve(server) })
	return client, nil
}

// Serve speaks with one client until the conversation ends, and closes conn.
func (s *Server) Serve(conn net.Conn) {
	release := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	defer release()
	// A fault mostly ends in a closed connection: nobody is to be told.
	defer conn.Close()
	s.mu.Lock()
	s.sessions++
	number := s.sessions
	s.mu.Unlock()
	newSession(s, conn, number).run()
}

// Roots trusts the server's certificate, which is made anew for each server
// and valid for 127.0.0.1 and localhost.
func (s *Server) Roots() *x509.CertPool { return s.roots }

// Records returns what became of each message, in order.
func (s *Server) Records() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Record(nil), s.records...)
}

// Messages returns the mail that the server ever had, in order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.opt.Messages...)
}

// Deliver adds a message behind the others, for sessions that sign in later.
func (s *Server) Deliver(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Messages = append(s.opt.Messages, m)
	s.records = append(s.records, Record{UID: m.UID})
}

// message returns a message by its place in the maildrop, from 0 on.
func (s *Server) message(index int) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opt.Messages[index]
}

// Sessions returns how many connections there were, and SignIns how many times
// somebody tried to sign in.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// SignIns returns how many times somebody tried to sign in.
func (s *Server) SignIns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signIns
}

// Commands returns how many command lines came, in all sessions.
func (s *Server) Commands() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commands
}

// update changes the records under the lock.
func (s *Server) update(change func(records []Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.records)
}

func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("pop3fault: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		// Wide enough for clocks that a test has set, synctest's too.
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames:  []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("pop3fault: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("pop3fault: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots, nil
}
