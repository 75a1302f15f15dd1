// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3mem_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// An office with a user and a letter, as both store and directory of a server.
func Example() {
	office := pop3mem.New(nil)
	office.AddUser("ana@example.org", "secret")
	if err := office.Put("ana@example.org", "Subject: hello\n\nHello, Ana.\n"); err != nil {
		log.Fatal(err)
	}
	// ... the program under test collects ...
	for _, m := range office.Messages("ana@example.org") {
		fmt.Printf("%s %d octets: %q\n", m.UID, m.Size, m.Data)
	}
	// Output:
	// m00000001 31 octets: "Subject: hello\r\n\r\nHello, Ana.\r\n"
}

// A disk that fails when mail is to be removed: QUIT cannot be answered +OK.
func ExampleOptions() {
	office := pop3mem.New(&pop3mem.Options{
		OnOp: func(op pop3mem.Op, id maildrop.ID) error {
			if op == pop3mem.OpRemove {
				return errors.New("the disk is broken")
			}
			return nil
		},
	})
	ctx := context.Background()
	id := office.AddUser("ana", "secret")
	if err := office.Put("ana", "Subject: hello\n\n"); err != nil {
		log.Fatal(err)
	}
	session, err := office.Open(ctx, id, maildrop.Classic)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.Remove(ctx, []int{1}))
	// Output:
	// [kept] the disk is broken
}
