// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"restante.example/collect"
	"restante.example/internal/wire"
	"restante.example/pop3"
)

// lmtpPatience is how long the reply to a whole message is waited for once
// restante is told to stop.
const lmtpPatience = 30 * time.Second

// lmtp hands messages to an LMTP server (RFC 2033), octet for octet. One
// connection serves message after message.
type lmtp struct {
	id, network, address string
	opt                  Options
	conn                 *lmtpConn
}

var _ collect.Destination = (*lmtp)(nil)

// lmtpAddress takes HOST:PORT or unix:PATH apart.
func lmtpAddress(rest string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(rest, "unix:"); ok {
		if path == "" {
			return "", "", fmt.Errorf("%q: %w", "lmtp:"+rest, ErrForm)
		}
		return "unix", path, nil
	}
	host, port, err := net.SplitHostPort(rest)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || host == "" || e != nil || n == 0 {
		return "", "", fmt.Errorf("%q: %w", "lmtp:"+rest, ErrForm)
	}
	return "tcp", rest, nil
}

func newLMTP(id, rest string, opt Options) (*lmtp, error) {
	network, address, err := lmtpAddress(rest)
	if err != nil {
		return nil, err
	}
	if opt.Recipient == "" || strings.ContainsAny(opt.Recipient, "\r\n\x00 <>") {
		return nil, fmt.Errorf("%s: %q is not an address to deliver to", id, opt.Recipient)
	}
	return &lmtp{id: id, network: network, address: address, opt: opt}, nil
}

func (d *lmtp) ID() string { return d.id }

// Window is one: an LMTP server cannot be asked whether it has a message, so
// each answer is written down before the next message goes out.
func (d *lmtp) Window() int { return 1 }

// Recover implements collect.Destination; see the package's comment.
func (d *lmtp) Recover(context.Context, string, []*collect.Pending) error { return nil }

// Stage implements collect.Destination.
func (d *lmtp) Stage(context.Context, string, int64) (collect.Staged, error) {
	return newConverted(true, nil), nil
}

// Prepare implements collect.Destination.
func (d *lmtp) Prepare(_ context.Context, items []*collect.Item) {
	for _, it := range items {
		it.Name = it.Message.Key
	}
}

// File implements collect.Destination.
func (d *lmtp) File(ctx context.Context, items []*collect.Item) {
	for _, it := range items {
		it.Err = d.deliver(ctx, it)
		it.Staged.Discard()
	}
}

// Close ends the connection.
func (d *lmtp) Close() error {
	if d.conn == nil {
		return nil
	}
	c := d.conn
	d.conn = nil
	// Nothing depends on the answer, so nobody waits long for it.
	c.timeout = min(c.timeout, 5*time.Second)
	_, err := c.command(context.Background(), "QUIT")
	return errors.Join(err, c.conn.Close())
}

func (d *lmtp) deliver(ctx context.Context, it *collect.Item) error {
	body, err := it.Staged.(*converted).Reader()
	if err != nil {
		return err
	}
	for {
		reused := d.conn != nil
		if !reused {
			if d.conn, err = d.dial(ctx); err != nil {
				return fmt.Errorf("%w: %w", collect.ErrUnavailable, err)
			}
		}
		begun, err := d.conn.deliver(ctx, d.opt.Recipient, it.Message.Size, body)
		var reply *lmtpReply
		if err == nil || errors.As(err, &reply) && !d.conn.broken {
			return err
		}
		d.conn.conn.Close()
		d.conn = nil
		// A connection that had been idle may have been closed meanwhile.
		if !reused || begun || ctx.Err() != nil {
			return err
		}
	}
}

func (d *lmtp) dial(ctx context.Context) (*lmtpConn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.opt.Timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, d.network, d.address)
	if err != nil {
		return nil, err
	}
	c := &lmtpConn{conn: conn, r: wire.NewReader(conn, 4096), w: wire.NewWriter(conn, wire.NewPool(64<<10)), timeout: d.opt.Timeout}
	stop := whenOver(ctx, c.interrupt)
	defer stop()
	_, err = c.reply(ctx, "the greeting")
	if err == nil {
		c.extensions, err = c.command(ctx, "LHLO "+hostName())
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// lmtpConn is a connection to an LMTP server.
type lmtpConn struct {
	conn       net.Conn
	r          *wire.Reader
	w          *wire.Writer
	timeout    time.Duration
	extensions string
	broken     bool
}

// lmtpReply is a refusal.
type lmtpReply struct {
	command, text string
}

func (e *lmtpReply) Error() string { return "LMTP: " + e.command + ": " + e.text }

// interrupt ends the step that is under way.
func (c *lmtpConn) interrupt() { _ = c.conn.SetDeadline(time.Unix(1, 0)) }

// whenOver calls f once ctx is over, unless stop was called before. When stop
// returns, f does not run any more: it changes no deadline that is set later.
func whenOver(ctx context.Context, f func()) (stop func()) {
	done := make(chan struct{})
	end := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return func() {
		if !end() {
			<-done
		}
	}
}

// step gives the next step its time, and none once ctx is over. It looks behind
// setting the deadline: an interruption that comes later sets its own.
func (c *lmtpConn) step(ctx context.Context) error {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// deliver sends one message. begun is true once it may have been taken.
func (c *lmtpConn) deliver(ctx context.Context, recipient string, size int64, body io.Reader) (begun bool, err error) {
	c.broken = true
	stop := whenOver(ctx, c.interrupt)
	begun, err = c.send(ctx, recipient, size, body)
	stop()
	if err != nil {
		return begun, err
	}
	// One recipient, so one reply. RFC 2033 section 4.2.
	err = c.verdict(ctx)
	var reply *lmtpReply
	c.broken = err != nil && !errors.As(err, &reply)
	return true, err
}

// verdict reads the reply to a message that the server has whole, also when ctx
// is over: it may take the message all the same, and whoever does not know that
// hands it over again. Then it has less time.
func (c *lmtpConn) verdict(ctx context.Context) error {
	end := time.Now().Add(c.timeout)
	if err := c.conn.SetDeadline(end); err != nil {
		return err
	}
	stop := whenOver(ctx, func() {
		if soon := time.Now().Add(lmtpPatience); soon.Before(end) {
			_ = c.conn.SetDeadline(soon)
		}
	})
	defer stop()
	_, err := c.read("the message")
	return err
}

// send sends one message to its final dot. begun is true once that may have
// gone out.
func (c *lmtpConn) send(ctx context.Context, recipient string, size int64, body io.Reader) (begun bool, err error) {
	from := "MAIL FROM:<>"
	for _, line := range strings.Split(c.extensions, "\n") {
		switch word, _, _ := strings.Cut(strings.ToUpper(line), " "); word {
		case "SIZE":
			from += " SIZE=" + strconv.FormatInt(size, 10)
		case "8BITMIME":
			from += " BODY=8BITMIME"
		}
	}
	for _, command := range []string{from, "RCPT TO:<" + recipient + ">"} {
		if _, err := c.command(ctx, command); err != nil {
			return false, c.reset(ctx, err)
		}
	}
	if _, err := c.command(ctx, "DATA"); err != nil {
		return false, c.reset(ctx, err)
	}
	if err := c.quiet("the message"); err != nil {
		return false, err
	}
	c.w.BeginText()
	return true, c.text(ctx, body)
}

// text sends the message piece by piece, each with its own deadline.
func (c *lmtpConn) text(ctx context.Context, body io.Reader) error {
	in := bufio.NewReaderSize(body, 64<<10)
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if e := c.step(ctx); e != nil {
			return e
		}
		c.w.Text(buf[:n])
		if c.w.Err() != nil {
			return c.w.Err()
		}
		if err == io.EOF {
			c.w.EndText()
			return c.w.Flush()
		}
		if err != nil {
			return err // without the dot nothing is taken
		}
	}
}

// reset takes back what a refusal has left of a transaction.
func (c *lmtpConn) reset(ctx context.Context, cause error) error {
	var reply *lmtpReply
	if !errors.As(cause, &reply) {
		return cause
	}
	_, err := c.command(ctx, "RSET")
	c.broken = err != nil
	return cause
}

func (c *lmtpConn) command(ctx context.Context, line string) (string, error) {
	word, _, _ := strings.Cut(line, ":")
	if err := c.quiet(word); err != nil {
		return "", err
	}
	if err := c.step(ctx); err != nil {
		return "", err
	}
	c.w.WriteString(line + "\r\n")
	if err := c.w.Flush(); err != nil {
		return "", err
	}
	return c.reply(ctx, word)
}

// quiet fails when there is a reply to nothing: each one that follows would be
// taken for that of another command.
func (c *lmtpConn) quiet(before string) error {
	if c.r.Buffered() > 0 {
		return fmt.Errorf("LMTP: the server sent a reply before %s", before)
	}
	return nil
}

// reply waits for the reply to a command.
func (c *lmtpConn) reply(ctx context.Context, command string) (string, error) {
	if err := c.step(ctx); err != nil {
		return "", err
	}
	return c.read(command)
}

// read reads a reply of any number of lines, and returns its texts. What is not
// 2xx, or 354 for DATA, is an error.
func (c *lmtpConn) read(command string) (string, error) {
	var texts []string
	for range 100 {
		raw, err := c.r.ReadLine(4096)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", fmt.Errorf("LMTP: %s: %w", command, err)
		}
		line := string(raw)
		if len(line) < 3 || line[0] < '2' || line[0] > '5' || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return "", fmt.Errorf("LMTP: %s: not a reply: %q", command, pop3.Printable(line))
		}
		texts = append(texts, line[min(4, len(line)):])
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		good := "2"
		if command == "DATA" {
			good = "354"
		}
		if strings.HasPrefix(line, good) {
			return strings.Join(texts, "\n"), nil
		}
		if line[0] < '4' {
			return "", fmt.Errorf("LMTP: %s: not a reply to it: %q", command, pop3.Printable(line))
		}
		return "", &lmtpReply{command, pop3.Printable(line[:3] + " " + strings.Join(texts, " "))}
	}
	return "", fmt.Errorf("LMTP: %s: a reply without end", command)
}
