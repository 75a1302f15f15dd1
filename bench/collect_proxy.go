// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"net"
	"time"
)

// startProxy forwards connections to the address and holds every octet back for
// delay on its way, in each direction. It limits no rate. The result is where it
// listens and what ends it.
func startProxy(address string, delay time.Duration) (string, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			go proxy(client, address, delay)
		}
	}()
	return l.Addr().String(), func() { _ = l.Close() }, nil
}

func proxy(client net.Conn, address string, delay time.Duration) {
	defer func() { _ = client.Close() }()
	time.Sleep(delay) // the first packet of a connection is on its way as well
	server, err := net.Dial("tcp", address)
	if err != nil {
		return // the program sees the end of its connection
	}
	defer func() { _ = server.Close() }()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			late(way[1], way[0], delay)
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// parcel is what came at once, and when it may go on. An empty one is the end.
type parcel struct {
	octets []byte
	due    time.Time
}

// late copies from one connection to the other, each piece a delay later.
func late(to, from net.Conn, delay time.Duration) {
	queue := make(chan parcel, 1<<16) // far more than fits into a window
	go func() {
		defer close(queue)
		buf := make([]byte, 256<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				queue <- parcel{append([]byte(nil), buf[:n]...), time.Now().Add(delay)}
			}
			if err != nil {
				queue <- parcel{nil, time.Now().Add(delay)}
				return
			}
		}
	}()
	broken := false
	for p := range queue {
		time.Sleep(time.Until(p.due))
		if len(p.octets) == 0 {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite() // the other side may have gone
			}
			continue
		}
		if !broken {
			_, err := to.Write(p.octets)
			broken = err != nil // then what follows is only taken in
		}
	}
}
