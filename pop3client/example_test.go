// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"

	"restante.example/pop3"
	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

// office starts a server for the examples; its faults are none.
func office(ctx context.Context, letters ...string) *pop3fault.Server {
	var messages []pop3fault.Message
	for i, text := range letters {
		messages = append(messages, pop3fault.Text(fmt.Sprintf("uid-%d", i+1), text))
	}
	server, err := pop3fault.New(ctx, &pop3fault.Options{Messages: messages})
	if err != nil {
		log.Fatal(err)
	}
	return server
}

// The smallest use: how much mail is there? At a real server the options would
// be nil, and the address "pop.example.org"; DialTLS is as easy.
func Example() {
	ctx := context.Background()
	server := office(ctx, "Subject: one\r\n\r\nHello!\r\n")
	defer server.Close()

	client, err := pop3client.DialSTLS(ctx, "localhost", &pop3client.Options{
		Dialer: server, TLS: &tls.Config{RootCAs: server.Roots()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.SignIn(ctx, pop3client.Credentials{User: "u1", Password: "secret"}); err != nil {
		log.Fatal(err)
	}
	messages, octets, err := client.Stat(ctx)
	fmt.Println(messages, octets, err, client.Quit(ctx))
	// Output: 1 24 <nil> <nil>
}

// All messages, each as a stream. A refused message is passed over; nothing is
// deleted before it is safe where it belongs, and then only by QUIT.
func ExampleClient_RetrAll() {
	ctx := context.Background()
	server := office(ctx, "Subject: one\r\n\r\nHello!\r\n", "Subject: two\r\n\r\nIs anybody there?\r\n")
	defer server.Close()
	client, err := pop3client.DialSTLS(ctx, "localhost", &pop3client.Options{
		Dialer: server, TLS: &tls.Config{RootCAs: server.Roots()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.SignIn(ctx, pop3client.Credentials{User: "u1", Password: "secret"}); err != nil {
		log.Fatal(err)
	}

	var wants []pop3client.Want
	for row, err := range client.List(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		wants = append(wants, pop3client.Want{Number: row.Number, Size: row.Size})
	}
	var safe []int
	for message, err := range client.RetrAll(ctx, slices.Values(wants)) {
		if refusal, ok := errors.AsType[*pop3.Error](err); ok {
			fmt.Println(message.Number, "stays where it is:", refusal)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		octets, err := io.Copy(io.Discard, message) // a file, rather
		if err != nil {
			log.Fatal(err) // not the whole message: it must not be kept
		}
		fmt.Println(message.Number, octets)
		safe = append(safe, message.Number)
	}
	for _, err := range client.DeleAll(ctx, slices.Values(safe)) {
		if err != nil {
			log.Fatal(err)
		}
	}
	switch err := client.Quit(ctx); {
	case errors.Is(err, pop3client.ErrQuitLost):
		fmt.Println("deleted or not: the next session shows it")
	case err != nil:
		log.Fatal(err)
	}
	// Output:
	// 1 24
	// 2 35
}

// The choice of mechanism sees what the server offers and whether there is
// TLS. Here nothing but mechanisms that keep the password to themselves will
// do, and the server has none.
func ExampleCredentials() {
	ctx := context.Background()
	server := office(ctx)
	defer server.Close()
	client, err := pop3client.DialSTLS(ctx, "localhost", &pop3client.Options{
		Dialer: server, TLS: &tls.Config{RootCAs: server.Roots()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	err = client.SignIn(ctx, pop3client.Credentials{
		User: "u1", Password: "secret",
		Choose: func(offer pop3client.Offer) []string {
			fmt.Println(offer.Mechanisms, offer.TLS != nil)
			return slices.DeleteFunc(pop3client.DefaultChoice(offer), func(name string) bool {
				return name == "PLAIN" || name == "LOGIN" || name == pop3client.User
			})
		},
	})
	fmt.Println(errors.Is(err, pop3client.ErrNoMechanism))
	// Output:
	// [PLAIN] true
	// true
}

// A server behind a SOCKS5 proxy, such as one of Tor or ssh -D.
func ExampleSOCKS5() {
	dialer, err := pop3client.SOCKS5("127.0.0.1:1080", nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	client, err := pop3client.DialTLS(ctx, "pop.example.org", &pop3client.Options{Dialer: dialer})
	if err != nil {
		log.Print(err)
		return
	}
	defer client.Close()
}

// A certificate that no authority knows: its fingerprint is shown, compared by
// a person, and pinned.
func ExampleCertificateFingerprint() {
	ctx := context.Background()
	server, err := pop3fault.Start(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	options := &pop3client.Options{}
	_, err = pop3client.DialSTLS(ctx, server.Address(), options)
	fingerprint, ok := pop3client.CertificateFingerprint(err)
	if !ok {
		log.Fatal(err)
	}
	options.PinSHA256 = []string{fingerprint}
	client, err := pop3client.DialSTLS(ctx, server.Address(), options)
	fmt.Println(err)
	if err == nil {
		fmt.Println(client.Quit(ctx))
	}
	// Output:
	// <nil>
	// <nil>
}
