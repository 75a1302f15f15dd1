// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/control"
)

// Names of the services.
const (
	POP3  = "pop3"
	POP3S = "pop3s"
	LMTP  = "lmtp"
)

// listener is a bound address and what is spoken there.
type listener struct {
	net.Listener
	service string
}

// Listening is an address where a service can be reached, as it is bound.
type Listening struct {
	Service string `json:"service"`
	Address string `json:"address"`
}

// bind binds every address of a configuration, or none.
func bind(ctx context.Context, c *config.Config, log *slog.Logger) ([]listener, error) {
	var list []listener
	var problems []error
	for _, service := range []struct {
		name      string
		addresses []string
	}{{POP3S, c.Listen.POP3S}, {POP3, c.Listen.POP3}, {LMTP, c.Listen.LMTP}} {
		for _, address := range service.addresses {
			l, err := bindOne(ctx, c, address)
			if err != nil {
				problems = append(problems, bindHint(service.name, address, err))
				continue
			}
			list = append(list, listener{l, service.name})
			if service.name == LMTP && isPublic(l.Addr()) {
				log.Warn("LMTP is open to other machines: whoever reaches it can deliver mail without a password", "address", l.Addr().String())
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, errors.Join(err, closeAll(list))
	}
	return list, nil
}

func closeAll(list []listener) error {
	var problems []error
	for _, l := range list {
		problems = append(problems, l.Close())
	}
	return errors.Join(problems...)
}

func isPublic(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

func bindOne(ctx context.Context, c *config.Config, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return bindUnix(ctx, path, c)
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// bindUnix binds a socket with mode 0660. The socket of a server that was killed
// is replaced, that of one that lives is not.
func bindUnix(ctx context.Context, path string, c *config.Config) (net.Listener, error) {
	dir, release, err := control.ShortPath(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer release()
	short := filepath.Join(dir, filepath.Base(path))
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("%s is there and is no socket; remove it or name another path", path)
		}
		var d net.Dialer
		dialCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		conn, err := d.DialContext(dialCtx, "unix", short)
		cancel()
		if err == nil {
			return nil, errors.Join(syscall.EADDRINUSE, conn.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: short})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the short name is gone by then
	if err := giveSocket(path, c); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(path))
	}
	return &unixListener{l, path}, nil
}

// giveSocket sets the owner, the group and the mode of a socket.
func giveSocket(path string, c *config.Config) error {
	uid, gid := -1, -1
	if owner, group, drop, err := DropTo(c.Data); err != nil {
		return err
	} else if drop {
		uid, gid = owner, group
	}
	if c.Listen.LMTPGroup != "" {
		g, err := user.LookupGroup(c.Listen.LMTPGroup)
		if err != nil {
			return err
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return err
		}
	}
	if uid != -1 || gid != -1 {
		if err := os.Lchown(path, uid, gid); err != nil {
			return fmt.Errorf("%w (a server that is not root can give the socket only to groups that it is in)", err)
		}
	}
	return os.Chmod(path, 0o660)
}

// unixListener knows the path of its socket and removes it.
type unixListener struct {
	*net.UnixListener
	path string
}

// Addr returns the path.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: l.path} }

// Close stops listening and removes the socket.
func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	if rm := os.Remove(l.path); rm != nil && !errors.Is(rm, fs.ErrNotExist) && !errors.Is(err, net.ErrClosed) {
		err = errors.Join(err, rm)
	}
	return err
}

// addressOf writes an address as the flags take it.
func addressOf(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// bindHint says what to do when an address cannot be bound.
func bindHint(service, address string, err error) error {
	hint := ""
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, fs.ErrPermission) && port != "":
		hint = fmt.Sprintf("; ports below 1024 need a right: run it by systemd with packaging/restanted.service, "+
			"or once: setcap cap_net_bind_service=+ep $(command -v restanted), or use a higher port: --%s 127.0.0.1:%s", service, higher(port))
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "; another program listens there: stop it, or choose another address with --" + service
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "; this machine has no such address: choose another with --" + service
	}
	return fmt.Errorf("cannot listen for %s on %s: %w%s", service, address, err, hint)
}

// higher suggests a port that everybody can bind.
func higher(port string) string {
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return "9995"
	}
	return strconv.Itoa(9000 + n)
}
