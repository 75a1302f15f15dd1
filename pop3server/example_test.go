// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"
	"time"

	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

// The smallest server: POP3S on port 995, with mail in memory.
func Example() {
	office := pop3mem.New(nil)
	office.AddUser("ana", "correct horse")

	cert, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Print(err)
		return
	}
	server := pop3server.New(&pop3server.Options{
		Store:     office,
		Directory: office,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
	})
	listener, err := net.Listen("tcp", ":995")
	if err != nil {
		log.Print(err)
		return
	}
	log.Print(server.ServeTLS(listener))
}

// One connection, over a pipe: how to test a mail program without a network.
func ExampleServer_ServeConn() {
	office := pop3mem.New(nil)
	office.AddUser("ana", "secret")
	if err := office.Put("ana", "Subject: hello\n\nHello, Ana.\n"); err != nil {
		fmt.Println(err)
		return
	}
	server := pop3server.New(&pop3server.Options{
		Store: office, Directory: office, Logger: slog.New(slog.DiscardHandler),
	})
	defer server.Close()

	program, conn := net.Pipe()
	go server.ServeConn(context.Background(), conn, false)
	go io.WriteString(program, "USER ana\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nQUIT\r\n")
	conversation, err := io.ReadAll(program)
	fmt.Println(strings.ReplaceAll(string(conversation), "\r\n", "\n"), err)
	// Output:
	// +OK POP3 server ready
	// +OK send PASS
	// +OK 1 messages (31 octets)
	// +OK 1 31
	// +OK 31 octets
	// Subject: hello
	//
	// Hello, Ana.
	// .
	// +OK bye
	//  <nil>
}

// Going down: sessions that are idle are told so, and those that commit a QUIT
// finish it. After a while the rest is ended too.
func ExampleServer_Shutdown() {
	server := pop3server.New(nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		server.Close()
	}
	fmt.Println(len(server.Sessions()))
	// Output: 0
}

// A password was changed: the sessions of the user end before End returns.
func ExampleServer_End() {
	server := pop3server.New(nil)
	ended := server.End(func(s pop3server.SessionInfo) bool { return s.User == "ana" })
	fmt.Println(ended)
	// Output: 0
}

// Ways to sign in, and rules of one listener: what is required there is all that
// is accepted there.
func ExampleServer_ServeListener() {
	office := pop3mem.New(nil)
	office.AddUser("ana", "secret")
	server := pop3server.New(&pop3server.Options{
		Store: office, Directory: office, Logger: slog.New(slog.DiscardHandler),
		Mechanisms: map[string]pop3server.Policy{"LOGIN": pop3server.PolicyOff},
		Listeners: map[string]pop3server.Rules{
			"strict": {Mechanisms: map[string]pop3server.Policy{"SCRAM-SHA-256": pop3server.PolicyRequired}},
		},
	})
	defer server.Close()
	for _, name := range []string{"strict", "other"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			return
		}
		go server.ServeListener(listener, name, false)
		program, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			fmt.Println(err)
			return
		}
		io.WriteString(program, "AUTH\r\nQUIT\r\n")
		conversation, err := io.ReadAll(program)
		if err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%s: %q\n", name, strings.Fields(string(conversation))[7:9])
	}
	// Output:
	// strict: ["SCRAM-SHA-256" "."]
	// other: ["SCRAM-SHA-256" "PLAIN"]
}
