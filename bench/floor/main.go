// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Command floor is a POP3 and LMTP server that does the least that can be done:
// it checks no password, locks nothing, remembers nothing, and believes file
// names and clients. It shows how much of a server's cost is the work itself.
// It is for benchmarks on loopback alone.
//
//	floor DIR POP3 POP3S LMTP CERT KEY
//
// Mail is in the Maildirs DIR/u0, DIR/u1 and so on.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: floor DIR POP3 POP3S LMTP CERT KEY")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// run serves until listening fails.
func run(dir, pop3, pop3s, lmtp, cert, key string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	end := make(chan error)
	for _, at := range []struct {
		address string
		secure  bool
		talk    func(dir string, conn net.Conn)
	}{{pop3, false, servePOP3}, {pop3s, true, servePOP3}, {lmtp, false, serveLMTP}} {
		l, err := net.Listen("tcp", at.address)
		if err != nil {
			return err
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					end <- err
					return
				}
				if at.secure {
					conn = tls.Server(conn, config)
				}
				go at.talk(dir, conn)
			}
		}()
	}
	return <-end
}

// servePOP3 is one session.
func servePOP3(dir string, conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 1<<10), reply{conn: conn}
	var box string
	var list []message
	deleted := map[int]bool{}
	out.line("+OK floor")
	for out.flush(in) {
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(strings.TrimRight(text, "\r\n"), " ")
		number, _ := strconv.Atoi(argument) // 0, which is no message
		switch {
		case verb == "USER":
			box = filepath.Join(dir, argument)
			out.line("+OK")
		case verb == "PASS":
			if list, err = scan(box); err != nil {
				out.line("-ERR " + err.Error())
				continue
			}
			out.line("+OK")
		case verb == "STAT":
			sum := 0
			for _, m := range list {
				sum += m.octets
			}
			out.line("+OK " + strconv.Itoa(len(list)) + " " + strconv.Itoa(sum))
		case verb == "UIDL" && argument == "":
			out.line("+OK")
			for i, m := range list {
				out.row(i+1, m.uid())
			}
			out.line(".")
		case verb == "LIST" && argument == "":
			out.line("+OK")
			for i, m := range list {
				out.row(i+1, strconv.Itoa(m.octets))
			}
			out.line(".")
		case verb == "RETR" && number > 0 && number <= len(list):
			out.line("+OK")
			if err := out.message(list[number-1].path); err != nil {
				return // the client sees that there is no end
			}
			out.line(".")
		case verb == "DELE" && number > 0 && number <= len(list):
			deleted[number-1] = true
			out.line("+OK")
		case verb == "QUIT":
			for i := range deleted {
				if err := os.Remove(list[i].path); err != nil {
					out.line("-ERR " + err.Error())
					out.flush(nil)
					return
				}
			}
			out.line("+OK")
			out.flush(nil)
			return
		default:
			out.line("-ERR")
		}
	}
}
