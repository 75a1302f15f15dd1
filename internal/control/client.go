// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"syscall"
)

// ErrNoServer: no server runs on the data directory.
var ErrNoServer = errors.New("no server runs on the data directory")

// Client asks the server that owns a data directory. It dials for each call.
type Client struct{ dir string }

// NewClient returns a client for the server on dir.
func NewClient(dir string) *Client { return &Client{dir} }

// Running reports whether a server answers on the socket.
func (c *Client) Running(ctx context.Context) (bool, error) {
	conn, err := c.dial(ctx)
	if errors.Is(err, ErrNoServer) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, conn.Close()
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	denied := fmt.Errorf("%s: permission denied; run the command as the owner of the data directory, or as root",
		filepath.Join(c.dir, SocketName))
	short, release, err := ShortPath(c.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNoServer
	case errors.Is(err, fs.ErrPermission):
		return nil, denied
	case err != nil:
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer release()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(short, SocketName))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNoServer // no socket, or one that nobody listens on any more
	case errors.Is(err, fs.ErrPermission):
		return nil, denied
	case err != nil:
		return nil, fmt.Errorf("control socket in %s: %w", c.dir, err)
	}
	return conn, nil
}

// Call implements Caller. It fails with ErrNoServer when no server runs.
func (c *Client) Call(ctx context.Context, op string, args any, body io.Reader, result any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // everything has been read from it
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	sent := writeJSON(conn, kindRequest, maxRequest, request{Version, op, raw, body != nil})
	if sent == nil && body != nil {
		var broken error
		if sent, broken = sendBody(conn, body); broken != nil {
			return fmt.Errorf("reading the message: %w", broken)
		}
	}
	// The server may have answered before the message was sent whole.
	var r reply
	if err := readJSON(conn, kindReply, maxReply, &r); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the server did not answer: %w", errors.Join(sent, unexpected(err)))
	}
	return r.into(result)
}

// sendBody sends what body gives and its end. It returns the error of the
// connection and that of the body apart.
func sendBody(conn io.Writer, body io.Reader) (sent, broken error) {
	piece := make([]byte, maxData)
	for {
		n, err := body.Read(piece)
		if n > 0 {
			if sent := writeFrame(conn, kindData, piece[:n]); sent != nil {
				return sent, nil
			}
		}
		if err == io.EOF {
			return writeFrame(conn, kindEnd, nil), nil
		}
		if err != nil {
			return nil, err
		}
	}
}
