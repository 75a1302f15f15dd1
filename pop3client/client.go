// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"iter"
	"net"

	"golang.org/x/net/proxy"

	"restante.example/pop3"
	"restante.example/sasl"
)

// Client is a connection to a server.
type Client struct{}

// New speaks over a connection that is there; it takes conn over, also when it
// fails, and reads the greeting. A *tls.Conn counts as TLS.
func New(ctx context.Context, conn net.Conn, opt *Options) (*Client, error) {
	return nil, errors.ErrUnsupported
}

// NewSTLS is New and then STLS.
func NewSTLS(ctx context.Context, conn net.Conn, serverName string, opt *Options) (*Client, error) {
	return nil, errors.ErrUnsupported
}

// DialTLS connects to host:port with TLS from the start (port 995 if none).
func DialTLS(ctx context.Context, address string, opt *Options) (*Client, error) {
	return nil, errors.ErrUnsupported
}

// DialSTLS connects in clear text (port 110 if none) and insists on TLS by STLS before anything else.
func DialSTLS(ctx context.Context, address string, opt *Options) (*Client, error) {
	return nil, errors.ErrUnsupported
}

// DialInsecure connects in clear text and stays so.
func DialInsecure(ctx context.Context, address string, opt *Options) (*Client, error) {
	return nil, errors.ErrUnsupported
}

// DialUnix connects to a Unix socket, in clear text.
func DialUnix(ctx context.Context, path string, opt *Options) (*Client, error) {
	return nil, errors.ErrUnsupported
}

// SOCKS5 returns a Dialer that goes through a SOCKS5 proxy at host:port.
func SOCKS5(address string, auth *proxy.Auth, forward Dialer) (Dialer, error) {
	return nil, errors.ErrUnsupported
}

// Greeting returns the server's greeting text, fit for a terminal.
func (c *Client) Greeting() string { return "" }

// State returns where the conversation stands.
func (c *Client) State() pop3.State { return 0 }

// TLS returns the state of TLS; ok is false without TLS.
func (c *Client) TLS() (state tls.ConnectionState, ok bool) { return }

// Received returns how many octets came from the server, as POP3 sees them.
func (c *Client) Received() int64 { return 0 }

// Err returns why the connection is not usable any more, or nil.
func (c *Client) Err() error { return nil }

// Capabilities asks once in each state; nil, nil: the server refused CAPA.
func (c *Client) Capabilities(ctx context.Context) (pop3.Capabilities, error) {
	return nil, errors.ErrUnsupported
}

// Credentials is who signs in, and by what.
type Credentials struct {
	User     string
	Identity string      // whom to act for, usually empty
	Password sasl.Secret // or Token
	Token    sasl.Secret // OAuth2 access token
	// TwoLineToken sends XOAUTH2's token on a line of its own, as Microsoft
	// wants it; it is done by itself where the token is too long for one line.
	TwoLineToken bool
	// Choose returns the mechanisms to try, in order; nil means DefaultChoice.
	Choose func(Offer) []string
}

// Offer is what a choice of mechanism is made from.
type Offer struct {
	Capabilities pop3.Capabilities
	Mechanisms   []string // SASL mechanisms that the server announced
	TLS          *tls.ConnectionState
	ClearTextOK  bool // the password may be shown to this connection
	Password     bool // there is a password
	Token        bool // there is a token
}

// Names for Choose beside those of SASL.
const (
	User = "USER" // USER and PASS
	APOP = "APOP" // never chosen by default
)

// DefaultChoice is the sound default: strongest first.
func DefaultChoice(o Offer) []string { return nil }

// SignIn signs in.
func (c *Client) SignIn(ctx context.Context, cred Credentials) error { return errors.ErrUnsupported }

// Authenticate signs in by any SASL mechanism.
func (c *Client) Authenticate(ctx context.Context, mech sasl.Client) error {
	return errors.ErrUnsupported
}

// UTF8 switches to UTF-8. RFC 6856.
func (c *Client) UTF8(ctx context.Context) error { return errors.ErrUnsupported }

// Stat returns the number of messages and their octets, -1 where not understood.
func (c *Client) Stat(ctx context.Context) (messages int, octets int64, err error) {
	return 0, 0, errors.ErrUnsupported
}

// Row is a row of LIST or UIDL, as it came.
type Row struct {
	Number int    // 0 where the row had none: pass over it
	Size   int64  // LIST: a hint, -1 where not understood
	UID    string // UIDL: may be longer than 70 octets and hold blanks and 8-bit
}

// List streams the sizes. An error ends the sequence.
func (c *Client) List(ctx context.Context) iter.Seq2[Row, error] { return nil }

// UIDL streams the unique ids. An error ends the sequence; a *pop3.Error: the server has no UIDL.
func (c *Client) UIDL(ctx context.Context) iter.Seq2[Row, error] { return nil }

// Message is a message (or the top of one) as a stream in wire form (CRLF).
type Message struct{ Number int }

// Read gives the text; io.EOF comes only behind the terminating dot.
func (m *Message) Read(p []byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Octets returns how many octets were read.
func (m *Message) Octets() int64 { return 0 }

// Close passes over what was not read, 8 MiB at most, or else breaks the connection.
func (m *Message) Close() error { return nil }

// Retr asks for a message.
func (c *Client) Retr(ctx context.Context, want Want) (*Message, error) {
	return nil, errors.ErrUnsupported
}

// Top asks for the header and the first lines of the body.
func (c *Client) Top(ctx context.Context, n, lines int) (*Message, error) {
	return nil, errors.ErrUnsupported
}

// Want is a message to be retrieved.
type Want struct {
	Number int
	Size   int64 // as LIST has it, for limits; 0 or less: unknown
}

// RetrAll retrieves in order, pipelined where the server can. The Message is never nil and
// valid until the next step. A *pop3.Error refuses that message and the
// sequence goes on; any other error ends it.
func (c *Client) RetrAll(ctx context.Context, wants iter.Seq[Want]) iter.Seq2[*Message, error] {
	return nil
}

// TopAll is RetrAll with TOP.
func (c *Client) TopAll(ctx context.Context, numbers iter.Seq[int], lines int) iter.Seq2[*Message, error] {
	return nil
}

// DeleAll marks messages deleted, pipelined where the server can; errors as in RetrAll.
func (c *Client) DeleAll(ctx context.Context, numbers iter.Seq[int]) iter.Seq2[int, error] {
	return nil
}

// Dele marks a message deleted; Quit deletes it.
func (c *Client) Dele(ctx context.Context, n int) error { return errors.ErrUnsupported }

// Noop does nothing but keep the connection alive.
func (c *Client) Noop(ctx context.Context) error { return errors.ErrUnsupported }

// Rset takes all deletion marks back.
func (c *Client) Rset(ctx context.Context) error { return errors.ErrUnsupported }

// Quit ends the session and closes the connection: nil: the marked messages are
// gone; *pop3.Error: some may not be; ErrQuitLost: nobody knows.
func (c *Client) Quit(ctx context.Context) error { return errors.ErrUnsupported }

// Close closes the connection without QUIT: nothing is deleted.
func (c *Client) Close() error { return nil }

// Event is a line of the conversation.
type Event struct {
	Sent bool   // by the client
	Text string // fit for a terminal, secrets replaced
}

// TraceTo writes each line behind "C: " or "S: ".
func TraceTo(w io.Writer) func(Event) { return nil }

// CertificateFingerprint returns the fingerprint of the certificate that was not accepted.
func CertificateFingerprint(err error) (string, bool) { return "", false }
