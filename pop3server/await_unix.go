// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package pop3server

import "syscall"

// await waits, until the deadline for reading, for something to read: octets, the
// end, or an error.
func await(raw syscall.RawConn) error {
	return raw.Read(func(fd uintptr) bool {
		var one [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
}

// rawOf returns what await needs, or nil for a connection that is no
// socket of its own.
func rawOf(conn any) syscall.RawConn {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
