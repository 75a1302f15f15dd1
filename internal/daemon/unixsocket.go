// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"restante.example/internal/control"
)

// bindUnix binds a socket with mode 0660. The socket of a server that was killed
// is replaced, that of one that lives is not.
func bindUnix(ctx context.Context, path, data, group string) (net.Listener, error) {
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
	if err := giveSocket(path, data, group); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(path))
	}
	return &unixListener{l, path}, nil
}

// giveSocket sets the owner, the group and the mode of a socket.
func giveSocket(path, data, group string) error {
	uid, gid := -1, -1
	if owner, group, drop, err := DropTo(data); err != nil {
		return err
	} else if drop {
		uid, gid = owner, group
	}
	if group != "" {
		g, err := user.LookupGroup(group)
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
