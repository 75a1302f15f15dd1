// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildrop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// A message comes in for a maildrop: it is there, durably, when Commit says so.
func ExampleStore_deliver() {
	ctx := context.Background()
	office := pop3mem.New(nil)
	id := office.AddUser("ana", "secret")

	var store maildrop.Store = office
	delivery, err := store.Deliver(ctx, maildrop.Envelope{Origin: "mx.example.org"}, []maildrop.Target{{
		Maildrop: id,
		Prefix:   []byte("Delivered-To: ana\r\n"),
		Quota:    maildrop.Quota{Octets: 1 << 30},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer delivery.Abort() // after Commit it does nothing
	// An error of a Write is answered by Commit too, for each target.
	if _, err := io.Copy(delivery, strings.NewReader("Subject: hello\n\nHello, Ana.\n")); err != nil {
		log.Print(err)
	}
	for _, err := range delivery.Commit(ctx) {
		switch {
		case err == nil:
			fmt.Println("250 accepted")
		case errors.Is(err, maildrop.ErrQuota):
			fmt.Println("452 over quota")
		default:
			fmt.Println("451 try again")
		}
	}
	messages, octets, err := store.Usage(ctx, id)
	fmt.Println(messages, "message,", octets, "octets,", err)
	// Output:
	// 250 accepted
	// 1 message, 50 octets, <nil>
}

// A session lists a maildrop, reads, and removes: the whole of POP3.
func ExampleStore_open() {
	ctx := context.Background()
	office := pop3mem.New(nil)
	id := office.AddUser("ana", "secret")
	for _, text := range []string{"Subject: one\n\nHello.\n", "Subject: two\n\nGoodbye.\n"} {
		if err := office.Put("ana", text); err != nil {
			log.Fatal(err)
		}
	}

	var store maildrop.Store = office
	session, err := store.Open(ctx, id, maildrop.Classic)
	if err != nil {
		log.Fatal(err) // errors.Is(err, maildrop.ErrInUse): somebody else has it
	}
	defer session.Close()
	for n := 1; n <= session.Len(); n++ {
		info := session.Info(n)
		fmt.Println(n, info.UID, info.Size, "octets")
	}
	message, err := session.Message(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	// Only a stream that ends without an error was read whole.
	var text strings.Builder
	if _, err := io.Copy(&text, message); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", text.String())
	if err := message.Close(); err != nil {
		log.Fatal(err)
	}
	outcomes, err := session.Remove(ctx, []int{1})
	fmt.Println("message 1:", outcomes[0], err)
	// Output:
	// 1 m00000001 24 octets
	// 2 m00000002 26 octets
	// "Subject: one\r\n\r\nHello.\r\n"
	// message 1: removed <nil>
}

// Each device has a view, and removes for itself.
func ExampleStore_views() {
	ctx := context.Background()
	office := pop3mem.New(nil)
	id := office.AddUser("ana", "secret")
	if err := office.AddView(ctx, id, "phone", time.Time{}); err != nil {
		log.Fatal(err)
	}
	if err := office.Put("ana", "Subject: hello\n\nHello.\n"); err != nil {
		log.Fatal(err)
	}
	session, err := office.Open(ctx, id, "phone")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := session.Remove(ctx, []int{1}); err != nil {
		log.Fatal(err)
	}
	if err := session.Close(); err != nil {
		log.Fatal(err)
	}
	messages, _, err := office.Usage(ctx, id)
	fmt.Println("after the phone:", messages, err)

	// The classic view was the last that held the message.
	if err := office.DropView(ctx, id, maildrop.Classic); err != nil {
		log.Fatal(err)
	}
	messages, _, err = office.Usage(ctx, id)
	fmt.Println("without the classic view:", messages, err)
	// Output:
	// after the phone: 1 <nil>
	// without the classic view: 0 <nil>
}
