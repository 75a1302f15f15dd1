// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3"
	"restante.example/sasl"
)

// signIn is what a connection holds until somebody has signed in.
type signIn struct {
	user      string // what USER said
	haveUser  bool
	timestamp string   // of the greeting, for APOP
	names     []string // that the client's certificate stands for
	failures  int
	epoch     uint64    // of the revocations, when the directory was asked
	passed    time.Time // when the guard let the attempt pass, for the Observer
}

// authorization answers a command before sign-in. RFC 1939 section 4.
func (c *conn) authorization(cmd pop3.Command) Ending {
	switch cmd.Word {
	case pop3.CmdUser:
		return c.userCommand(cmd)
	case pop3.CmdPass:
		return c.passCommand(cmd)
	case pop3.CmdAPOP:
		return c.apopCommand(cmd)
	case pop3.CmdAuth:
		return c.authCommand(cmd)
	case pop3.CmdSTLS:
		return c.stlsCommand(cmd)
	case pop3.CmdUTF8:
		return c.utf8Command(cmd)
	case pop3.CmdLang:
		return c.langCommand(cmd)
	case pop3.CmdCapa:
		if ok, end := c.bare(cmd); !ok {
			return end
		}
		c.capabilities()
		return ""
	case pop3.CmdQuit:
		if ok, end := c.bare(cmd); !ok {
			return end
		}
		c.ok("bye")
		return c.flushLast(EndQuit)
	}
	if isHTTP(cmd.Word) {
		return EndForeign
	}
	if isTransaction(cmd.Word) {
		return c.wrongCommand("sign in first")
	}
	return c.wrongCommand("there is no such command")
}

// flushLast sends the last reply, whatever interrupts meanwhile.
func (c *conn) flushLast(end Ending) Ending {
	c.meter.part(c.opt.Timeouts.Write)
	if err := c.w.Flush(); err != nil {
		c.cut = true // the QUIT counts all the same
	}
	return end
}

// mayReveal reports whether a password may come over this connection as it
// is. RFC 8314 section 3; RFC 2595 section 2.2.
func (c *conn) mayReveal() bool {
	switch {
	case c.tls != nil, c.shielded, c.rules.clearText == InsecureClearTextEverywhere:
		return true
	case c.rules.clearText == ClearTextLoopback:
		return c.local
	}
	return false
}

const (
	needsTLS  text = "a password is accepted only under TLS: use STLS, or the port for TLS"
	needsAUTH text = "that is no way to sign in here: use AUTH"
)

// userRefused says why USER and PASS are refused, or "".
func (c *conn) userRefused() text {
	switch {
	case !c.rules.accepted[mechUser]:
		return needsAUTH
	case !c.mayReveal():
		return needsTLS
	}
	return ""
}

// userCommand takes a name. Whether there is such a user does not show.
// RFC 1939 section 7, USER.
func (c *conn) userCommand(cmd pop3.Command) Ending {
	if why := c.userRefused(); why != "" {
		return c.wrongCommand(why)
	}
	words, ok := cmd.Words(nil, 1)
	if !ok || len(words) == 0 {
		return c.wrongCommand("USER takes a name")
	}
	c.signIn.user, c.signIn.haveUser = words[0], true
	c.traceUser(words[0])
	c.ok("send PASS")
	return ""
}

// passCommand takes the rest of the line as password, blanks included.
// RFC 1939 section 7, PASS.
func (c *conn) passCommand(cmd pop3.Command) Ending {
	if why := c.userRefused(); why != "" {
		return c.wrongCommand(why)
	}
	if !c.signIn.haveUser {
		return c.wrongCommand("send USER first")
	}
	user := c.signIn.user
	c.signIn.user, c.signIn.haveUser = "", false
	a := c.attempt(user, mechUser)
	p, err := c.check(a, string(cmd.Arg))
	return c.signedIn(a, p, err)
}

func (c *conn) attempt(user string, m mechanism) maildrop.Attempt {
	return maildrop.Attempt{Name: user, Remote: c.remote, TLS: c.tls != nil || c.shielded, Mechanism: m.String()}
}

// Errors of this side of a sign-in; those of maildrop say the rest.
var (
	errNoBackend    = errors.New("pop3server: there is no store or no directory")
	errLoginDelay   = errors.New("pop3server: the last sign-in was too recent")
	errTooManyOfOne = errors.New("pop3server: the user has too many sessions")
	errRevokedNow   = errors.New("pop3server: sessions were being revoked")
)

// guardError is a refusal by the guard.
type guardError struct{ error }

func (e *guardError) Unwrap() error { return e.error }

// ask asks the guard and then the directory, by look, within the time for
// signing in.
func (c *conn) ask(a maildrop.Attempt, look func(context.Context) error) error {
	if c.opt.Directory == nil || c.opt.Store == nil {
		return errNoBackend
	}
	c.checking.Store(true)
	defer c.checking.Store(false)
	ctx, cancel := context.WithDeadline(c.ctx, c.signInBy())
	defer cancel()
	if err := c.before(ctx, a); err != nil {
		return err
	}
	c.passed()
	// What was revoked before is known to the directory.
	c.signIn.epoch = c.server.table.currentEpoch()
	return look(ctx)
}

func (c *conn) before(ctx context.Context, a maildrop.Attempt) error {
	if c.opt.Guard == nil {
		return nil
	}
	if err := c.opt.Guard.Before(ctx, a.Remote, a.Name); err != nil {
		return &guardError{err}
	}
	return nil
}

// after tells the guard what came out. Right credentials of a disabled user go
// the way of wrong ones, so that the two cannot be told apart.
func (c *conn) after(a maildrop.Attempt, err error) {
	if c.opt.Guard == nil {
		return
	}
	switch {
	case err == nil:
		c.opt.Guard.After(a.Remote, a.Name, true)
	case wrongCredentials(err):
		c.opt.Guard.After(a.Remote, a.Name, false)
	}
}

// wrongCredentials reports whether an error is told as [AUTH].
func wrongCredentials(err error) bool {
	return errors.Is(err, maildrop.ErrCredentials) || errors.Is(err, maildrop.ErrDisabled) ||
		errors.Is(err, maildrop.ErrNoUser)
}

// check asks the directory about a password.
func (c *conn) check(a maildrop.Attempt, password string) (p maildrop.Principal, err error) {
	err = c.ask(a, func(ctx context.Context) error {
		p, err = c.opt.Directory.SignIn(ctx, a, password)
		return err
	})
	c.after(a, err)
	return p, err
}

// signedIn opens the maildrop for somebody whose credentials were right, or
// refuses.
func (c *conn) signedIn(a maildrop.Attempt, p maildrop.Principal, err error) Ending {
	if err == nil {
		if err = c.open(a, p); err == nil {
			c.observeSignIn(a, "")
			return ""
		}
	}
	return c.refuseSignIn(a, err)
}

// refuseSignIn answers a sign-in that failed, the same for whatever kind of
// wrong credentials, and writes the line that fail2ban reads.
func (c *conn) refuseSignIn(a maildrop.Attempt, err error) Ending {
	if why := c.meter.interrupted(); why != "" {
		return why
	}
	code, t, reason := pop3.CodeSysTemp, text("signing in is not possible now; try again later"), "unavailable"
	own, ownText, ok := c.chosen(err)
	guarded, isGuard := errors.AsType[*guardError](err)
	switch {
	case wrongCredentials(err):
		// RFC 3206 section 5: the credentials are wrong, and nothing else is.
		code, t, reason = pop3.CodeAuth, "wrong name or password", "credentials"
		if errors.Is(err, maildrop.ErrDisabled) {
			reason = "disabled"
		}
		c.signIn.failures++
	case ok:
		code, t, reason = own, ownText, "refused"
	case errors.Is(err, sasl.ErrChannelBinding):
		// Not [AUTH]: the password may be right, and somebody between us.
		code, t, reason = "", "channel binding does not match: the connection may be intercepted", "channel binding"
		c.signIn.failures++
	case isGuard:
		err, reason = guarded.error, "guard"
	case errors.Is(err, maildrop.ErrInUse):
		code, t, reason = pop3.CodeInUse, "another session has this maildrop open", "in use" // RFC 2449 section 8.1.2
	case errors.Is(err, errTooManyOfOne):
		code, t, reason = pop3.CodeInUse, "there are too many sessions of this user", "too many sessions"
	case errors.Is(err, errLoginDelay):
		code, t, reason = pop3.CodeLoginDelay, "the last sign-in was too recent", "login delay" // RFC 2449 section 8.1.1
	case errors.Is(err, maildrop.ErrNoMaildrop), errors.Is(err, maildrop.ErrNoView):
		code, t, reason = pop3.CodeSysPerm, "the maildrop cannot be opened", "no maildrop"
	}
	c.logRefusal(a, reason, err)
	c.observeSignIn(a, reason)
	c.refuse(code, t)
	if limit := c.opt.Limits.Failures; limit >= 0 && c.signIn.failures >= limit {
		return c.flushLast(EndFailures)
	}
	return ""
}

func (c *conn) logRefusal(a maildrop.Attempt, reason string, err error) {
	level := slog.LevelWarn
	attrs := []slog.Attr{
		slog.String("remote", c.remoteText()), slog.String("user", oneLine(a.Name)),
		slog.String("mechanism", a.Mechanism), slog.String("reason", reason),
	}
	switch reason {
	case "unavailable", "no maildrop":
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", err))
	}
	if e, ok := errors.AsType[*maildrop.TokenError](err); ok && e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	c.log(level, "sign-in refused", attrs...)
}

// loginDelay returns the least time between two sign-ins of somebody.
func (c *conn) loginDelay(p maildrop.Principal) time.Duration {
	if p.LoginDelay > 0 {
		return p.LoginDelay
	}
	return c.opt.LoginDelay
}

// open opens the maildrop and makes the connection a session.
func (c *conn) open(a maildrop.Attempt, p maildrop.Principal) error {
	t := &c.server.table
	key := viewKey{p.Maildrop, p.View}
	if t.delayed(key, time.Now()) > 0 {
		return errLoginDelay
	}
	snap, err := c.openOrTakeOver(key)
	if err != nil {
		return err
	}
	if !t.reserve(c, p) {
		return errors.Join(errTooManyOfOne, snap.Close())
	}
	s := &session{principal: p, mechanism: a.Mechanism, tls: c.tlsVersion(), since: time.Now(), snap: snap, total: snap.Len(), key: key}
	c.count(func() { c.session = s })
	if !t.enter(c, key, c.signIn.epoch) {
		c.count(func() { c.session = nil })
		t.release(p.Maildrop)
		return errors.Join(errRevokedNow, snap.Close())
	}
	t.note(key, s.since, c.loginDelay(p))
	if c.opt.OnSignIn != nil {
		if info, ok := c.info(); ok {
			c.opt.OnSignIn(info)
		}
	}
	c.wrong = 0
	c.signIn.timestamp, c.signIn.names = "", nil
	c.okCount(snap.Len(), snap.Octets())
	return nil
}

// maySTLS reports whether TLS can begin. RFC 2595 section 4: it does not begin
// twice, nor within that of a proxy.
func (c *conn) maySTLS() bool { return c.rules.tls != nil && c.tls == nil && !c.shielded }

// stlsCommand begins TLS. RFC 2595 section 4.
func (c *conn) stlsCommand(cmd pop3.Command) Ending {
	if ok, end := c.bare(cmd); !ok {
		return end
	}
	if !c.maySTLS() {
		return c.wrongCommand("STLS is not possible here")
	}
	if c.speech.utf8 {
		return c.wrongCommand("STLS comes before UTF8") // RFC 6856 section 2.1
	}
	// What was pushed in behind STLS in clear text would be taken for said under
	// TLS: somebody is trying that.
	if c.r.Buffered() > 0 {
		return EndInjection
	}
	c.ok("begin TLS")
	if err := c.w.Flush(); err != nil {
		return c.writeFailed(err)
	}
	c.tls = tls.Server(&c.meter, c.rules.tls)
	c.w.Reset(c.records())
	c.r.Reset(c)
	// Said before TLS: not believed. RFC 6856 section 7 has what a LANG of somebody
	// on the way would do.
	c.signIn.user, c.signIn.haveUser, c.speech = "", false, speech{}
	return c.handshake()
}

// isHTTP reports whether a word begins a request of HTTP. A web page can make a
// browser send one to any port, with lines of its own behind it: none of them is
// to be taken for a command.
func isHTTP(word string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PRI"}, word)
}

// isCommand reports whether a word is a command of this server.
func isCommand(word string) bool {
	return isTransaction(word) || slices.Contains([]string{
		pop3.CmdUser, pop3.CmdPass, pop3.CmdAPOP, pop3.CmdAuth, pop3.CmdSTLS, pop3.CmdUTF8, pop3.CmdLang, pop3.CmdCapa, pop3.CmdQuit,
	}, word)
}

// isTransaction reports whether a command exists after sign-in.
func isTransaction(word string) bool {
	return slices.Contains([]string{
		pop3.CmdStat, pop3.CmdList, pop3.CmdRetr, pop3.CmdDele, pop3.CmdNoop, pop3.CmdRset, pop3.CmdTop, pop3.CmdUIDL,
	}, word)
}
