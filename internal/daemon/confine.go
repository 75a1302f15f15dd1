// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"restante.example/internal/config"
	"restante.example/internal/sandbox"
)

// confine gives up what the server does not need, as the configuration says. It
// says in the log what is in force.
func (s *Server) confine(c *config.Config, o *RunOptions) error {
	required := c.Landlock == config.LandlockRequired
	switch {
	case c.Landlock == config.LandlockOff:
		s.log.Info("not confined by Landlock", "because", "landlock is off")
		return nil
	case len(c.Users.Helper) > 0 && !required:
		// It inherits the sandbox, and what it needs only its author knows.
		s.log.Info("not confined by Landlock", "because", "[users] names a helper", "try", `landlock = "required" confines both: the helper reads everything and writes nothing`)
		return nil
	}
	kept := needs(c, o.Getenv)
	r, err := sandbox.Enter(kept)
	switch {
	case err != nil && required:
		return fmt.Errorf(`landlock is "required", and the server cannot be confined: %w`, err)
	case errors.Is(err, sandbox.ErrNoLandlock):
		s.log.Warn("not confined by Landlock", "because", err, "abi", r.ABI)
	case err != nil:
		s.log.Error("not confined by Landlock", "because", err, "abi", r.ABI)
	default:
		s.kept.Store(&kept)
		s.log.Info("confined by Landlock", "abi", r.ABI, "files", r.Files, "connections", r.Connections, "signals", r.Signals)
	}
	return nil
}

// needs are what a server of that configuration needs once it is open.
func needs(c *config.Config, getenv func(string) string) sandbox.Needs {
	n := sandbox.Needs{
		Write:   []string{c.Data},
		Run:     len(c.Users.Helper) > 0,
		Connect: c.Tokens.On(),
		// A service manager in a container may listen on an abstract socket.
		Abstract: strings.HasPrefix(getenv("NOTIFY_SOCKET"), "@"),
	}
	if c.Maildir != "" {
		n.Write = append(n.Write, fixedPart(c.Maildir))
	}
	for _, at := range c.Listening() {
		if path, ok := strings.CutPrefix(at.Address, "unix:"); ok {
			n.Write = append(n.Write, filepath.Dir(path)) // it is removed at the end
		}
		n.Renewed = append(n.Renewed, at.ClientCA)
	}
	for _, one := range c.AllCertificates() {
		n.Renewed = append(n.Renewed, one.CertFile, one.KeyFile)
	}
	if n.Connect {
		n.Renewed = append(n.Renewed, "/etc/resolv.conf") // often a link
	}
	n.Renewed = append(n.Renewed, c.File, c.Users.PasswdFile, c.Tokens.CAFile, c.Tokens.ClientSecretFile, c.Clients.CAFile)
	var named []string
	for _, file := range n.Renewed {
		if file != "" {
			named = append(named, file)
		}
	}
	n.Renewed = named
	return n
}

// errGivenUp says that a configuration needs what the server has given up.
var errGivenUp = errors.New("the server gave that up by Landlock when it started: a restart puts the new configuration in force")

// given reports what a new configuration needs and the server has given up, as
// far as that can be told before it is tried.
func (s *Server) given(c *config.Config) error {
	kept := s.kept.Load()
	if kept == nil {
		return nil
	}
	wanted := needs(c, func(string) string { return "" })
	if wanted.Run && !kept.Run {
		return fmt.Errorf("[users] helper needs to run programs; %w", errGivenUp)
	}
	if wanted.Connect && !kept.Connect {
		return fmt.Errorf("[tokens] needs to connect to others; %w", errGivenUp)
	}
	return nil
}

// beyond explains a reload that failed because something is outside of what the
// server kept.
func (s *Server) beyond(err error) error {
	if err == nil || s.kept.Load() == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w\nif it is outside of what the configuration named at the start, %w", err, errGivenUp)
}
