// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault_test

import (
	"context"
	"fmt"
	"io"
	"net/textproto"

	"restante.example/pop3server/pop3fault"
)

// A server that breaks off in the middle of the first message; this is where
// the program under test comes in.
func Example() {
	server, err := pop3fault.Start(context.Background(), &pop3fault.Options{
		Faults: []pop3fault.Fault{pop3fault.CutInMessage(1)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	client, err := textproto.Dial("tcp", server.Address())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := client.PrintfLine("USER u1\r\nPASS secret\r\nRETR 1"); err != nil {
		fmt.Println(err)
		return
	}
	for range 4 { // greeting and three replies
		if _, err := client.ReadLine(); err != nil {
			fmt.Println(err)
			return
		}
	}
	_, err = io.ReadAll(client.DotReader())
	fmt.Println(err)
	fmt.Println("retrieved whole:", server.Records()[0].Retrieved)
	// Output:
	// unexpected EOF
	// retrieved whole: 0
}
