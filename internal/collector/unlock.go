// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"restante.example/sasl"
)

const (
	unlockTimeout = 10 * time.Second
	maxRequest    = 64 << 10
	acceptPause   = time.Second // before the socket is tried again
)

// SocketPath is where restante run listens for passwords; only the owner can
// get at it, because the directory is the owner's alone.
func SocketPath(state string) string { return filepath.Join(state, "run.sock") }

// unlockRequest is what restante unlock says. The password is plain here
// because that is what the socket is for.
type unlockRequest struct {
	Account  string `json:"account"`
	Password string `json:"password"`
}

type unlockReply struct {
	Error string `json:"error"`
}

// ErrRunning: another restante run has this state directory.
var ErrRunning = errors.New("another restante run is up with this state directory")

// ErrNotRunning: no restante run has this state directory.
var ErrNotRunning = errors.New("no restante run is up with this state directory")

// Listen opens the socket.
func Listen(ctx context.Context, state string) (net.Listener, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(state)
	if err != nil {
		return nil, err
	}
	if !ownersOnly(info) {
		return nil, fmt.Errorf("%s is open to others (mode %04o); make it yours alone: chmod 700 %s", state, info.Mode().Perm(), state)
	}
	path := SocketPath(state)
	if conn, err := (&net.Dialer{Timeout: unlockTimeout}).DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(ErrRunning, conn.Close())
	}
	// What is there belonged to one that died.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// ServeUnlock takes passwords until the listener is closed.
func (p *Poller) ServeUnlock(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Too many open files, for one, passes.
			p.Log.Warn("unlock socket", "error", err, "again in", acceptPause)
			time.Sleep(acceptPause)
			continue
		}
		if err := p.serveUnlock(conn); err != nil {
			p.Log.Warn("unlock", "error", err)
		}
	}
}

func (p *Poller) serveUnlock(conn net.Conn) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(unlockTimeout)); err != nil {
		return err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	if err == io.EOF && len(line) == 0 {
		return nil // somebody looked whether we are here
	}
	if err != nil {
		return err
	}
	var request unlockRequest
	if err := json.Unmarshal(line, &request); err != nil {
		return errors.New("not a request")
	}
	var reply unlockReply
	if err := p.Unlock(request.Account, sasl.Secret(request.Password)); err != nil {
		reply.Error = err.Error()
	} else {
		p.Log.Info("got the password", "account", request.Account)
	}
	return json.NewEncoder(conn).Encode(reply)
}

// SendUnlock hands a password to the restante run of a state directory.
func SendUnlock(ctx context.Context, state, account string, password sasl.Secret) error {
	conn, err := (&net.Dialer{Timeout: unlockTimeout}).DialContext(ctx, "unix", SocketPath(state))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(unlockTimeout)); err != nil {
		return err
	}
	if err := json.NewEncoder(conn).Encode(unlockRequest{account, string(password)}); err != nil {
		return err
	}
	var reply unlockReply
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&reply); err != nil {
		return err
	}
	if reply.Error == ErrUnknown.Error() {
		return ErrUnknown
	}
	if reply.Error != "" {
		return errors.New(reply.Error)
	}
	return nil
}
