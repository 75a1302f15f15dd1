// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !aix

package pop3server

import (
	"net"
	"os"
	"syscall"
)

// await waits, until the deadline for reading, for something to read: octets, the
// end, or an error. A socket tells of an error once only, so that one is returned.
func await(raw syscall.RawConn) error {
	var failed error
	err := raw.Read(func(fd uintptr) bool {
		var one [1]byte
		for {
			_, _, failed = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if failed != syscall.EINTR {
				return failed != syscall.EAGAIN
			}
		}
	})
	if err == nil && failed != nil {
		err = os.NewSyscallError("recvfrom", failed)
	}
	return err
}

// rawOf returns what await needs, or nil for a connection that is no socket of
// its own: what wraps one may have deadlines and errors of another kind.
func rawOf(conn net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch socket := conn.(type) {
	case *net.TCPConn:
		raw, err = socket.SyscallConn()
	case *net.UnixConn:
		raw, err = socket.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}
