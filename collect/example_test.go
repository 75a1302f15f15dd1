// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"restante.example/collect"
	"restante.example/collect/sqlitejournal"
)

// A ticket system that polls a mailbox: each message becomes one ticket, also
// when server, network or process fail in between.
func Example() {
	ctx := context.Background()
	journal, err := sqlitejournal.Open(ctx, "/var/lib/tickets/support.journal")
	if err != nil {
		log.Fatal(err)
	}
	defer journal.Close()
	openTicket := func(ctx context.Context, m collect.Message, body io.ReadSeeker) error {
		return nil // in one transaction: nothing if m.Key is known, else a ticket and m.Key
	}
	report, err := collect.Run(ctx, collect.Account{
		ID:           "support",
		Dial:         collect.DialTLS("pop.example.org"),
		Credentials:  collect.Password("support@example.org", "secret"),
		Destinations: []collect.Destination{collect.HandlerFunc("tickets", openTicket)},
		Keep:         collect.Keep{Delete: true},
	}, journal)
	fmt.Println(report.Filed, "new tickets,", report.Left, "left for the next time,", err)
}

// What a run did is in its report; what happened is told while it happens.
func ExampleRun() {
	server := &server{mail: letters(1, 2)} // stands for one somewhere
	account := collect.Account{
		ID:          "support",
		Dial:        server.dial,
		Credentials: collect.Password("support", "secret"),
		Destinations: []collect.Destination{
			collect.HandlerFunc("sizes", func(_ context.Context, m collect.Message, body io.ReadSeeker) error {
				n, err := io.Copy(io.Discard, body)
				fmt.Println("a message of", n, "octets")
				return err
			}),
		},
		Observe: func(e collect.Event) {
			if e.Kind == collect.EventListed {
				fmt.Println(e.Messages, "to collect")
			}
		},
	}
	journal := collect.NewMemoryJournal()
	for range 2 {
		report, err := collect.Run(context.Background(), account, journal)
		fmt.Println(report.Filed, "filed,", report.Known, "known,", err)
	}
	// Output:
	// 2 to collect
	// a message of 73 octets
	// a message of 73 octets
	// 2 filed, 0 known, <nil>
	// 0 filed, 2 known, <nil>
}
