// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"restante.example/internal/cert"
	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/directory"
	"restante.example/internal/guard"
	"restante.example/internal/lmtp"
	"restante.example/internal/sandbox"
	"restante.example/maildrop"
	"restante.example/pop3server"
)

// Server serves an office.
type Server struct {
	version    string
	started    time.Time
	log        *Log
	owner      *control.Owner
	office     *Office
	inherited  inherited
	listeners  listeners
	pop3       *pop3server.Server
	lmtp       *lmtp.Server
	control    *control.Server
	guard      pop3server.Guard
	operations control.Mux
	counts     counters
	measuring  measuring
	draining   atomic.Bool
	kept       atomic.Pointer[sandbox.Needs] // by confine; nil where nothing was given up

	// reloaded is when a configuration was put in force last, in nanoseconds since
	// 1970, and reloadFailed whether one was refused since.
	reloaded     atomic.Int64
	reloadFailed atomic.Bool

	reloading sync.Mutex // held by what changes the four below
	config    atomic.Pointer[config.Config]
	reception atomic.Pointer[reception]
	traced    atomic.Pointer[[]string]
	tokens    atomic.Pointer[tokenChecker] // nil where no tokens are taken
}

// Open makes everything ready: it owns the data directory, binds the addresses,
// becomes the owner of the directory where it is root, and opens what is in it.
// Nothing is answered before Serve. The caller calls Serve, or Close.
func Open(ctx context.Context, c *config.Config, log *Log, version string) (*Server, error) {
	s := &Server{version: version, started: time.Now(), log: log}
	s.config.Store(c)
	s.reloaded.Store(s.started.UnixNano())
	s.traceUsers(c)
	if err := s.open(ctx, c); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, c *config.Config) error {
	// What only root can read is read while this is root, and before anything is made.
	r, err := receive(c, nil, s.log.Logger)
	if err != nil {
		return err
	}
	if err := MakeData(c.Data); err != nil {
		return err
	}
	// Commands that work on the directory themselves are soon done.
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if s.owner, err = control.Await(wait, c.Data); errors.Is(err, control.ErrOwned) {
		return &OwnedError{c.Data}
	} else if err != nil {
		return explain(err)
	}
	if s.listeners.list, err = s.bind(ctx, c, c.Listening()); err != nil {
		return err
	}
	if err := s.bindMetrics(ctx, c); err != nil {
		return err
	}
	for _, name := range s.inherited.unused(s.listeners.list) {
		s.log.Warn("systemd has given a socket that no listener asks for", "name", name, "try", "address = \"systemd:"+name+"\"")
	}
	if err := BecomeOwner(c.Data); err != nil {
		return fmt.Errorf("becoming the owner of %s: %w", c.Data, err)
	}
	if os.Geteuid() == 0 {
		s.log.Warn("the server runs as root: whoever finds a way in is root", "data", c.Data)
	}
	if err := s.signSelf(c, r); err != nil {
		return err
	}
	s.reception.Store(r)
	if s.office, err = openOffice(ctx, c, s.log.Logger, s.measuring.metrics); err != nil {
		return err
	}
	s.measuring.office = s.office
	s.guard = fresh{refusals{guard.New(&guard.Options{Account: s.office.directory.Account}), s.measuring.metrics}, s.office.refreshSources}
	checker, err := s.newTokens(c)
	if err != nil {
		return err
	}
	s.useTokens(checker)
	s.office.end = func(id maildrop.ID) {
		s.pop3.End(func(i pop3server.SessionInfo) bool { return i.Maildrop == id })
	}
	s.office.endView = func(id maildrop.ID, view maildrop.View) {
		s.pop3.End(func(i pop3server.SessionInfo) bool { return i.Maildrop == id && i.View == view })
	}
	s.pop3 = pop3server.New(s.pop3Options(c, r))
	s.lmtp = lmtp.New(s.lmtpOptions(c))
	s.office.announce = s.announce
	s.operations = s.office.Mux()
	s.serverOperations(s.operations)
	s.control, err = control.Listen(c.Data, s.operations, s.log.Logger)
	return err
}

// account brings a name as a client wrote it into the form of the directory.
func (s *Server) account(name string) string {
	if clean, err := directory.CleanName(name); err == nil {
		return clean
	}
	return name
}

// traceUsers puts the users of the configuration in force whose conversations
// are logged.
func (s *Server) traceUsers(c *config.Config) {
	names := make([]string, len(c.TraceUsers))
	for i, name := range c.TraceUsers {
		names[i] = s.account(name)
	}
	s.traced.Store(&names)
}

// signSelf gives clients a self-signed certificate where the configuration names
// none.
func (s *Server) signSelf(c *config.Config, r *reception) (err error) {
	if r.set.Default == nil {
		r.set.Default, err = cert.SelfSigned(selfSignedDir(c), certificateNames(c, s.listeners.all()), s.log.Logger)
	}
	return err
}

// selfSignedDir is where a self-signed certificate is kept.
func selfSignedDir(c *config.Config) string { return filepath.Join(c.Data, tlsDir) }

// certificateNames are the names that a self-signed certificate is made for:
// this machine's, and the addresses that are listened on.
func certificateNames(c *config.Config, listeners []*listener) []string {
	names := []string{c.Hostname}
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		add(name)
	}
	for _, l := range listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsUnspecified() {
			add(a.IP.String())
		}
	}
	return names
}

func (s *Server) pop3Options(c *config.Config, r *reception) *pop3server.Options {
	unlimited := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	takeOver := time.Duration(c.Timeouts.TakeOver)
	if takeOver == 0 {
		takeOver = -1
	}
	return &pop3server.Options{
		Store:      s.office.store,
		Directory:  s.office.directory,
		Guard:      s.guard,
		TLSConfig:  r.tls,
		ClearText:  clearText[c.ClearText],
		Mechanisms: policies(c.Mechanisms),
		Tokens:     s.tokenChecker(),
		Listeners:  r.listeners(),

		Certificate: s.certificates(r),
		Limits: pop3server.Limits{
			Sessions:        unlimited(c.Limits.Sessions),
			Unauthenticated: unlimited(c.Limits.Unauthenticated),
			PerAddress:      unlimited(c.Limits.PerAddress),
			PerUser:         unlimited(c.Limits.PerUser),
			Failures:        unlimited(c.Limits.Failures),
		},
		Timeouts: pop3server.Timeouts{
			Auth:     time.Duration(c.Timeouts.SignIn),
			Idle:     time.Duration(c.Timeouts.Idle),
			TakeOver: takeOver,
		},
		Expire:         s.office.expireDays(context.Background(), c), // it answers from memory
		LoginDelay:     time.Duration(c.LoginDelay),
		Hostname:       c.Hostname,
		Language:       c.Language,
		Spanish:        refusalsInSpanish(),
		Implementation: "restante " + s.version,
		Logger:         s.log.Logger,
		Trace: func(name string) bool {
			return name != "" && slices.Contains(*s.traced.Load(), s.account(name))
		},
		OnSignIn: func(i pop3server.SessionInfo) {
			s.office.directory.NoteSignIn(i.Maildrop, i.View, i.Remote)
		},
		OnEnd:    s.ended,
		Observer: s.measuring.metrics.POP3(),
	}
}

func (s *Server) lmtpOptions(c *config.Config) *lmtp.Options {
	return &lmtp.Options{
		Intake:   s.office.intake.Load(),
		Hostname: c.Hostname,
		Logger:   s.log.Logger,
		Limits:   lmtp.Limits{Sessions: c.Limits.LMTPSessions},
	}
}

// Listening returns the addresses as they are bound.
func (s *Server) Listening() []Listening {
	var list []Listening
	for _, l := range s.listeners.all() {
		list = append(list, Listening{l.at.Service, addressOf(l.Addr())})
	}
	return list
}

// Operations does what commands ask for, in this process.
func (s *Server) Operations() control.Caller { return s.operations }

// caFile names the self-signed certificate, where there is one.
func (s *Server) caFile() string {
	c := s.config.Load()
	if c.TLS.CertFile != "" || len(c.Certificates) > 0 {
		return ""
	}
	return cert.CAFile(selfSignedDir(c))
}

// Serve answers until ctx ends, then lets what goes on come to its end for as
// long as the configuration says; a second context, hurry, ends that early. It
// closes everything, and returns what went wrong.
func (s *Server) Serve(ctx, hurry context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	serve := func(what string, f func() error, expected error) {
		running.Go(func() {
			s.measuring.serving.Add(1)
			defer s.measuring.serving.Add(-1)
			if err := f(); err != nil && !errors.Is(err, expected) {
				stop(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	s.listeners.begin(func(l *listener) {
		answer, expected := s.answer(l)
		serve(l.at.Name(), func() error {
			if err := answer(); !l.dropped.Load() {
				return err
			}
			return nil
		}, expected)
		s.log.Info("listening", "service", l.at.Service, "address", addressOf(l.Addr()))
	})
	s.log.Info("serving", "version", s.version, "data", s.config.Load().Data)
	s.log.Info("certificate", "fingerprint", s.reception.Load().Fingerprint(), "self_signed", s.caFile())
	work, workDone := context.WithCancel(context.Background())
	serve("control", func() error { return s.control.Serve(work) }, context.Canceled)
	running.Go(func() { s.maintain(work) })
	running.Go(func() { s.office.watchSources(work) })

	<-ctx.Done()
	s.draining.Store(true)
	s.listeners.end()
	drain, cancel := context.WithTimeout(hurry, time.Duration(s.config.Load().Timeouts.Drain))
	defer cancel()
	var draining sync.WaitGroup
	draining.Go(func() {
		if err := s.pop3.Shutdown(drain); err != nil {
			s.log.Warn("sessions were ended before their time", "service", POP3, "error", err)
		}
		_ = s.pop3.Close() // it never fails
	})
	draining.Go(func() {
		if err := s.lmtp.Shutdown(drain); err != nil {
			s.log.Warn("sessions were ended before their time", "service", LMTP, "error", err)
		}
	})
	draining.Wait()
	workDone()
	s.closeMetrics()
	context.AfterFunc(drain, s.control.Abort)
	running.Wait()
	var failed error
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		failed = err
	}
	return errors.Join(failed, s.Close())
}

// answer returns what answers on a listener, and the error that it ends with
// when it is told to.
func (s *Server) answer(l *listener) (answer func() error, expected error) {
	switch l.at.Service {
	case Metrics:
		return func() error { return s.serveMetrics(l) }, nil
	case LMTP:
		return func() error { return s.lmtp.Serve(s.accepting(l)) }, lmtp.ErrServerClosed
	}
	return func() error { return s.pop3.ServeListener(s.accepting(l), l.at.Name(), l.at.Service == POP3S) }, pop3server.ErrServerClosed
}

// Close lets go of everything. After Serve it does nothing.
func (s *Server) Close() error {
	problems := []error{s.listeners.close()}
	s.useTokens(nil)
	if s.office != nil {
		problems = append(problems, s.office.Close())
	}
	if s.owner != nil {
		problems = append(problems, s.owner.Release())
	}
	s.office, s.owner = nil, nil
	return errors.Join(problems...)
}
