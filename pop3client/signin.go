// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"restante.example/pop3"
	"restante.example/sasl"
)

// SignIn signs in by the first of the chosen mechanisms that the server takes.
// A refusal is a *pop3.Error: with pop3.CodeAuth the credentials are wrong and
// a person must be asked; one that is Temporary may be tried again later, on a
// new connection. A refused token is sasl.ErrCredentials too and carries the
// server's *sasl.TokenFailure.
//
// Where Options.UTF8 is set and the server announces PIPELINING, UTF8 goes together
// with the first command; ErrPipelining says that the server failed then.
//
// ErrClearText: every mechanism left would show the password to the network.
// ErrNoMechanism: none is known to both sides. ErrNotASCII: one would do, but
// not for this name or password. Nothing secret was sent then.
func (c *Client) SignIn(ctx context.Context, cred Credentials) error {
	if cred.User == "" && cred.Choose == nil {
		return fmt.Errorf("%w: no user name", ErrArgument)
	}
	caps, err := c.Capabilities(ctx)
	if err != nil {
		return err
	}
	if c.opt.UTF8 && !c.utf8 && caps.Has(pop3.CapUTF8) {
		if c.pipelining() {
			c.askUTF8 = true
			defer func() { c.askUTF8 = false }()
		} else if err := c.UTF8(ctx); err != nil && !isRefusal(err) {
			return err
		}
	}
	offer := c.offer(cred, caps)
	choose := cred.Choose
	if choose == nil {
		choose = DefaultChoice
	}
	names := choose(offer)
	if len(names) == 0 && !offer.MayReveal && (offer.Password || offer.Token) {
		return ErrClearText
	}
	err = fmt.Errorf("%w; the server offers %s", ErrNoMechanism, announced(offer))
	for i, name := range names {
		var tried attempt
		tried, err = c.signInBy(ctx, name, cred, offer, i < len(names)-1)
		if err == nil {
			return nil
		}
		if !tried.mechanismRefused(err, caps) {
			break
		}
	}
	if len(cred.Token) > microsoftToken {
		return errors.Join(err, ErrTokenTooLong)
	}
	return err
}

// microsoftToken is the longest token in characters that Microsoft takes.
const microsoftToken = 4096

func announced(o Offer) string {
	if len(o.Mechanisms) == 0 {
		return "no mechanisms"
	}
	return pop3.Printable(strings.Join(o.Mechanisms, ", "))
}

// attempt is how far a sign-in came.
type attempt struct {
	// committed: something was sent by which the server could judge the
	// credentials.
	committed bool
}

// mechanismRefused reports whether another mechanism may be tried: the server
// refused this one before it saw credentials, or said that wrong credentials
// are not the reason. Never guessed from the text. RFC 3206 section 6:
// whoever announces AUTH-RESP-CODE marks wrong credentials with [AUTH].
func (a attempt) mechanismRefused(err error, caps pop3.Capabilities) bool {
	if errors.Is(err, ErrNoMechanism) || errors.Is(err, ErrNotASCII) {
		return true
	}
	refusal, ok := errors.AsType[*pop3.Error](err)
	if !ok || refusal.Code != "" || errors.Is(err, sasl.ErrCredentials) {
		return false
	}
	return !a.committed || caps.Has(pop3.CapAuthRespCode)
}

func (c *Client) signInBy(ctx context.Context, name string, cred Credentials, offer Offer, more bool) (attempt, error) {
	switch name {
	case User:
		return attempt{committed: true}, c.UserPass(ctx, cred.User, cred.Password)
	case APOP:
		return attempt{committed: true}, c.apop(ctx, cred.User, cred.Password)
	}
	mech := c.mechanism(name, cred, offer)
	if mech == nil {
		return attempt{}, fmt.Errorf("%w: %s", ErrNoMechanism, name)
	}
	// A server that does not tell wrong credentials from an unknown mechanism
	// is asked for the mechanism first, if another could be tried.
	twoLines := name == "XOAUTH2" && cred.TwoLineToken ||
		more && !hides(name) && !offer.Capabilities.Has(pop3.CapAuthRespCode)
	return c.authenticate(ctx, mech, twoLines, string(cred.Password), string(cred.Token))
}

// Authenticate signs in by a SASL mechanism of the caller's making. Mechanisms
// that this package does not know to hide the password are ErrClearText
// outside TLS, as in SignIn. RFC 5034.
func (c *Client) Authenticate(ctx context.Context, mech sasl.Client) error {
	_, err := c.authenticate(ctx, mech, false)
	return err
}

// UserPass signs in by USER and PASS. A name or password beyond ASCII is
// ErrNotASCII where the server does not announce that it takes them. RFC 1939
// section 7, RFC 6856 section 2.2.
func (c *Client) UserPass(ctx context.Context, user string, password sasl.Secret) error {
	if !c.mayReveal() {
		return ErrClearText
	}
	if user == "" || password == "" {
		return fmt.Errorf("%w: an empty name or password", ErrArgument)
	}
	if err := c.takes(ctx, user, string(password)); err != nil {
		return err
	}
	userLine, err := commandLine("USER", user)
	if err != nil {
		return err
	}
	passLine, err := commandLine("PASS", string(password))
	if err != nil {
		return err
	}
	end, err := c.begin(ctx, pop3.Authorization, "USER")
	if err != nil {
		return err
	}
	defer end()
	c.hide(string(password))
	if _, err := c.roundTrip("USER", userLine, userLine); err != nil {
		return err
	}
	if _, err := c.roundTrip("PASS", passLine, "PASS "+masked); err != nil {
		return err
	}
	c.signedIn()
	return nil
}

// apop proves the password by a digest over the greeting's timestamp.
func (c *Client) apop(ctx context.Context, user string, password sasl.Secret) error {
	stamp := timestamp(c.greeting)
	if stamp == "" {
		return fmt.Errorf("%w: APOP without a timestamp in the greeting", ErrNoMechanism)
	}
	if err := c.takes(ctx, user, string(password)); err != nil {
		return err
	}
	user, prepared, err := prepareAPOP(user, string(password))
	if err != nil {
		return err
	}
	sum := md5.Sum([]byte(stamp + prepared))
	digest := hex.EncodeToString(sum[:])
	line, err := commandLine("APOP", user, digest)
	if err != nil {
		return err
	}
	end, err := c.begin(ctx, pop3.Authorization, "APOP")
	if err != nil {
		return err
	}
	defer end()
	c.hide(prepared, digest)
	if _, err := c.roundTrip("APOP", line, "APOP "+user+" "+masked); err != nil {
		return err
	}
	c.signedIn()
	return nil
}

// timestamp returns the <...> of a greeting with its brackets, or nothing. It
// must look like a message id: what a server could choose freely would let it
// compute passwords. RFC 1939 section 7, APOP.
func timestamp(greeting string) string {
	from := strings.IndexByte(greeting, '<')
	if from < 0 {
		return ""
	}
	length := strings.IndexByte(greeting[from:], '>') + 1
	stamp := greeting[from : from+length]
	if !strings.Contains(stamp, "@") || strings.ContainsFunc(stamp, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return stamp
}

func (c *Client) signedIn() {
	c.state = pop3.Transaction
	c.pipelines = c.pipelining()
	c.caps, c.capsKnown = nil, false
}

// hide keeps secrets that a server repeats out of errors and traces, until the first
// command after sign-in: what repeats one may come behind the answer to its command.
func (c *Client) hide(secrets ...string) {
	for _, s := range secrets {
		if len(s) >= 3 && !slices.Contains(c.secrets, s) {
			c.secrets = append(c.secrets, s)
		}
	}
}

// redact takes out of a line what must not be shown. A server that repeats a
// command may have cut it short, so the beginning of what was sent goes too.
func (c *Client) redact(line string) string {
	const redacted = "[redacted]"
	for _, secret := range slices.Concat(c.encoded, c.secrets) {
		begin := secret[:min(len(secret), 8)]
		for from := 0; ; {
			i := strings.Index(line[from:], begin)
			if i < 0 {
				break
			}
			from += i
			n := len(begin)
			for n < len(secret) && from+n < len(line) && line[from+n] == secret[n] {
				n++
			}
			line = line[:from] + redacted + line[from+n:]
			from += len(redacted)
		}
	}
	return line
}

// encode writes a response in base64, which is as secret as what is in it.
func (c *Client) encode(response []byte) string {
	encoded := base64.StdEncoding.EncodeToString(response)
	if len(encoded) > 0 && !slices.Contains(c.encoded, encoded) {
		c.encoded = append(c.encoded, encoded)
	}
	return encoded
}

// maxTurns is how many challenges a mechanism may take.
const maxTurns = 32

// authenticate runs a SASL exchange. twoLines keeps the initial response for
// a line of its own.
func (c *Client) authenticate(ctx context.Context, mech sasl.Client, twoLines bool, secrets ...string) (attempt, error) {
	name, initial, err := mech.Start()
	if err != nil {
		return attempt{}, fmt.Errorf("pop3client: sign in: %w", err)
	}
	if !hides(name) && !c.mayReveal() {
		return attempt{}, fmt.Errorf("%w: mechanism %s", ErrClearText, name)
	}
	line, err := commandLine("AUTH", name)
	if err != nil {
		return attempt{}, err
	}
	end, err := c.begin(ctx, pop3.Authorization, "AUTH")
	if err != nil {
		return attempt{}, err
	}
	defer end()
	c.hide(secrets...)
	x := exchange{c: c, mech: mech, revealing: !hides(name)}
	trace := line
	if encoded := c.encodeInitial(initial); initial != nil {
		// RFC 5034 section 4: what does not fit into a command goes onto a
		// line of its own.
		if twoLines || len(line)+1+len(encoded)+2 > pop3.MaxCommand {
			x.pending = initial
		} else {
			line, trace = line+" "+encoded, trace+" "+masked
			x.committed = x.revealing
		}
	}
	if err := c.send("AUTH", line, trace); err != nil {
		return x.attempt, err
	}
	if err := x.run(); err != nil {
		return x.attempt, err
	}
	c.signedIn()
	return x.attempt, nil
}

// encodeInitial writes an initial response; an empty one is "=". RFC 5034
// section 4.
func (c *Client) encodeInitial(initial []byte) string {
	if len(initial) == 0 {
		return "="
	}
	return c.encode(initial)
}

// exchange is a SASL exchange under way.
type exchange struct {
	attempt
	c         *Client
	mech      sasl.Client
	revealing bool
	pending   []byte // the initial response, not sent yet
}

// run answers challenges until the server accepts or refuses.
func (x *exchange) run() error {
	for range maxTurns {
		line, err := x.c.line("AUTH")
		if err != nil {
			return err
		}
		challenge, more := cutChallenge(line)
		if !more {
			return x.result(x.c.redact(line))
		}
		x.c.traceReceived("+ " + masked)
		first := x.pending != nil
		response, err := x.respond(challenge)
		if err != nil {
			return x.cancel(err)
		}
		x.committed = x.committed || x.revealing || !first
		if err := x.c.send("AUTH", x.c.encode(response), masked); err != nil {
			return err
		}
	}
	return x.c.fail("AUTH", &LimitError{What: "number of challenges", Limit: maxTurns})
}

// cutChallenge takes the "+ " off a challenge.
func cutChallenge(line string) (string, bool) {
	if line == "+" {
		return "", true
	}
	return strings.CutPrefix(line, "+ ")
}

func (x *exchange) respond(challenge string) ([]byte, error) {
	if x.pending != nil {
		// The first challenge only asks for the initial response; some servers
		// write a text there.
		response := x.pending
		x.pending = nil
		return response, nil
	}
	octets, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
	if err != nil {
		octets = []byte(challenge) // the mechanism judges
	}
	if _, ok := x.mech.(*sasl.TokenClient); ok {
		octets = []byte(x.c.redact(string(octets))) // a refusal for people to read
	}
	return x.mech.Next(octets)
}

// result takes the server's verdict.
func (x *exchange) result(line string) error {
	x.c.traceReceived(line)
	status, err := pop3.ParseStatus(line)
	if err != nil {
		return x.c.fail("AUTH", &ProtocolError{Command: "AUTH", Line: shown(line)})
	}
	if status.OK {
		if !x.mech.Done() {
			// RFC 5802 section 5: who cannot prove it is not our server.
			return x.c.fail("AUTH", sasl.ErrServer)
		}
		return nil
	}
	err = status.Err("AUTH")
	if token, ok := x.mech.(*sasl.TokenClient); ok && token.Failure() != nil {
		return fmt.Errorf("%w: %w", err, token.Failure())
	}
	return err
}

// cancel ends the exchange from this side, and the connection with it unless
// the server agrees. RFC 5034 section 4.
func (x *exchange) cancel(cause error) error {
	cause = fmt.Errorf("pop3client: sign in: %w", cause)
	if errors.Is(cause, sasl.ErrServer) || errors.Is(cause, sasl.ErrChannelBinding) {
		return x.c.fail("AUTH", cause) // somebody else than our server
	}
	if err := x.c.send("AUTH", "*", "*"); err != nil {
		return errors.Join(cause, err)
	}
	status, err := x.c.status("AUTH")
	if err != nil {
		return errors.Join(cause, err)
	}
	switch {
	case status.OK:
		return x.c.fail("AUTH", cause)
	case status.Code != "":
		// Not only "aborted", as it must be: the server says why.
		return fmt.Errorf("%w: %w", cause, status.Err("AUTH"))
	}
	return cause
}
