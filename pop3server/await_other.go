// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix || aix

package pop3server

import (
	"errors"
	"net"
	"syscall"
)

// rawOf returns nothing: waiting is left to package net.
func rawOf(net.Conn) syscall.RawConn { return nil }

func await(syscall.RawConn) error { return errors.ErrUnsupported }
