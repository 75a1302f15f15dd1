// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"restante.example/internal/wire"
	"restante.example/pop3"
)

// Client is a connection to a server.
type Client struct {
	opt      Options
	peer     peer
	conn     *timedConn
	r        *wire.Reader
	out      *outbox
	greeting string
	state    pop3.State
	active   string // the command whose reply is being read

	caps      pop3.Capabilities
	capsKnown bool
	pipelines bool // as announced before sign-in
	utf8      bool // UTF8 was said

	ahead []string // commands that were sent and whose replies nobody has read
	// askUTF8: UTF8 is to be sent together with the next command; utf8Asked: it
	// was, and its reply comes first.
	askUTF8, utf8Asked bool

	secrets []string // while signing in: what must not be shown
	encoded []string // and what was sent in base64
	scratch []byte   // for copying messages

	mu  sync.Mutex // guards err and raw
	err error
	raw net.Conn // what Close closes, below TLS
}

// peer is who is at the other end.
type peer struct {
	host  string // as dialled, or empty
	port  int    // as dialled, or 0
	local bool   // on this machine
}

// New speaks over a connection that is there, a *tls.Conn included, and reads
// the greeting. It takes conn over and closes it when it fails. A greeting
// that refuses is a *pop3.Error, mostly temporary.
//
// Who makes a *tls.Conn checks its certificate; PinSHA256 is checked here too.
func New(ctx context.Context, conn net.Conn, opt *Options) (*Client, error) {
	c, err := newClient(ctx, conn, opt, peer{local: isLocal(conn.RemoteAddr())})
	if err != nil {
		return nil, err
	}
	if secured, ok := conn.(*tls.Conn); ok && len(c.opt.PinSHA256) > 0 {
		if err := checkPins(c.opt.PinSHA256, secured.ConnectionState()); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func newClient(ctx context.Context, conn net.Conn, opt *Options, p peer) (*Client, error) {
	c := &Client{opt: opt.withDefaults(), peer: p, raw: conn}
	if below, ok := conn.(interface{ NetConn() net.Conn }); ok {
		c.raw = below.NetConn()
	}
	c.conn = &timedConn{
		Conn: conn, timeout: c.opt.Timeout, rate: c.opt.MinRate,
		end: time.Now().Add(c.opt.SessionTimeout),
	}
	c.r = wire.NewReader(c.conn, c.opt.BufferSize)
	c.out = newOutbox(c.conn)
	end, err := c.begin(ctx, pop3.Authorization, "")
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	defer end()
	begun := time.Now()
	status, err := c.status("")
	if err != nil {
		return nil, c.explainSilence(time.Since(begun), err)
	}
	if err := status.Err(""); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.greeting = status.Text
	return c, nil
}

// atOnce is how soon a server closes that turns a connection away. One that waits
// for TLS has more patience.
const atOnce = time.Second

// explainSilence names the mistake that a greeting which did not come hints at.
func (c *Client) explainSilence(waited time.Duration, err error) error {
	if _, secured := c.TLS(); secured || c.r.Received() > 0 || waited < atOnce {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrNoGreeting, err)
	}
	return err
}

// Greeting returns the text of the server's greeting, fit for a terminal.
func (c *Client) Greeting() string { return pop3.Printable(c.greeting) }

// State returns where the conversation stands.
func (c *Client) State() pop3.State { return c.state }

// TLS returns the state of the TLS connection; ok is false in clear text.
func (c *Client) TLS() (state tls.ConnectionState, ok bool) {
	secured, ok := c.conn.Conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return tls.ConnectionState{}, false
	}
	return secured.ConnectionState(), true
}

// Received returns how many octets came from the server so far, as POP3 sees
// them (without what TLS adds).
func (c *Client) Received() int64 { return c.r.Received() }

// Err returns why the connection is not usable any more, or nil. Any goroutine
// may ask.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

var errClosed = errors.New("pop3client: closed")

// Close closes the connection at once, without QUIT: nothing is deleted. Any
// goroutine may call it, more than once too; what is going on ends.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil
	}
	c.err = errClosed
	return c.raw.Close()
}

// fail makes the connection unusable and returns why, with the command.
func (c *Client) fail(command string, err error) error {
	if command == "" {
		command = "greeting"
	}
	err = fmt.Errorf("pop3client: %s: %w", command, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return err
	}
	c.err = err
	// The error that made the connection useless is the one to tell.
	_ = c.raw.Close()
	return err
}

// begin starts an operation: end must be called when its reply was read whole.
func (c *Client) begin(ctx context.Context, state pop3.State, command string) (end func(), err error) {
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if c.active != "" {
		return nil, fmt.Errorf("%w: %s", ErrBusy, c.active)
	}
	if c.state != state {
		return nil, fmt.Errorf("%w: %s in %v", ErrState, command, c.state)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("pop3client: %s: %w", command, context.Cause(ctx))
	}
	switch {
	case len(c.ahead) > 0 && c.ahead[0] != command:
		return nil, fmt.Errorf("%w: %s was sent ahead", ErrBusy, c.ahead[0])
	case len(c.ahead) == 0 && c.r.Buffered() > 0:
		return nil, c.unsolicited(command)
	}
	if c.state == pop3.Transaction {
		c.secrets, c.encoded = nil, nil // replies have numbers in them from now on
	}
	c.active = command
	stop := c.conn.watch(ctx)
	return func() {
		stop()
		c.active = ""
	}, nil
}

// unsolicited handles what came although nothing was asked: it must never be
// taken for the reply to the next command. A refusal is a farewell.
func (c *Client) unsolicited(command string) error {
	status, err := c.status(command)
	switch {
	case err != nil:
		return err
	case status.OK:
		return c.fail(command, &ProtocolError{Command: command, Line: "unasked: " + shown(status.Text)})
	}
	return c.fail(command, &FarewellError{Code: status.Code, Text: pop3.Printable(status.Text)})
}

// ask sends a command of one line and returns the status line of its reply.
func (c *Client) ask(ctx context.Context, state pop3.State, command string, args ...string) (pop3.Status, error) {
	line, err := commandLine(command, args...)
	if err != nil {
		return pop3.Status{}, err
	}
	end, err := c.begin(ctx, state, command)
	if err != nil {
		return pop3.Status{}, err
	}
	defer end()
	return c.roundTrip(command, line, line)
}

// roundTrip sends a line and reads a status line; a refusal is an error. What
// is shown in the trace is said apart.
func (c *Client) roundTrip(command, line, trace string) (pop3.Status, error) {
	ahead := len(c.ahead) > 0
	if ahead {
		c.ahead = c.ahead[1:]
	} else if err := c.send(command, line, trace); err != nil {
		return pop3.Status{}, err
	}
	status, err := c.status(command)
	if err != nil && ahead {
		err = blamePipelining(err)
	}
	if err != nil {
		return status, err
	}
	return status, status.Err(command)
}

// commandLine joins a command and its arguments. What would end the line or
// the command early is refused, so that no argument can hold a command.
// RFC 2449 section 4 has the limit.
func commandLine(command string, args ...string) (string, error) {
	line := strings.Join(append([]string{command}, args...), " ")
	if strings.ContainsAny(line, "\r\n\x00") {
		return "", fmt.Errorf("%w: %s with a line end or NUL", ErrArgument, command)
	}
	if len(line)+2 > pop3.MaxCommand {
		return "", fmt.Errorf("%w: %s of %d octets, %d are allowed", ErrArgument, command, len(line)+2, pop3.MaxCommand)
	}
	return line, nil
}

func (c *Client) send(command, line, trace string) error {
	if c.askUTF8 {
		c.traceSent(pop3.CmdUTF8)
		line = pop3.CmdUTF8 + "\r\n" + line
		c.askUTF8, c.utf8Asked = false, true
	}
	c.traceSent(trace)
	if _, err := c.conn.Write([]byte(line + "\r\n")); err != nil {
		return c.fail(command, err)
	}
	return nil
}

// line reads the first line of a reply, after that of UTF8 if it was sent
// together with this command.
func (c *Client) line(command string) (string, error) {
	if !c.utf8Asked {
		return c.nextLine(command)
	}
	c.utf8Asked = false
	status, err := c.status(pop3.CmdUTF8)
	if err != nil {
		return "", blamePipelining(err)
	}
	c.utf8 = status.OK
	line, err := c.nextLine(command)
	if err != nil {
		err = blamePipelining(err)
	}
	return line, err
}

func (c *Client) nextLine(command string) (string, error) {
	timeout := c.opt.Timeout
	if command == "CAPA" {
		timeout = c.opt.CapaTimeout
	}
	c.conn.startLine(timeout)
	octets, err := c.r.ReadLine(maxStatus)
	if err != nil {
		return "", c.fail(command, explainLine("status line", maxStatus, err))
	}
	return string(octets), nil
}

// explainLine translates the errors of the line reader.
func explainLine(what string, limit int64, err error) error {
	switch {
	case errors.Is(err, wire.ErrLineTooLong), errors.Is(err, wire.ErrLineEndless):
		return &LimitError{What: what, Limit: limit}
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// status reads a status line. After one that is none, nobody knows which reply
// belongs to which command, so the connection is given up.
func (c *Client) status(command string) (pop3.Status, error) {
	line, err := c.line(command)
	if err != nil {
		return pop3.Status{}, err
	}
	line = c.redact(line)
	c.traceReceived(line)
	status, err := pop3.ParseStatus(line)
	if err != nil {
		return status, c.fail(command, &ProtocolError{Command: command, Line: shown(line)})
	}
	return status, nil
}
