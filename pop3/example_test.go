// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3_test

import (
	"errors"
	"fmt"

	"restante.example/pop3"
)

func ExampleParseStatus() {
	status, err := pop3.ParseStatus("-ERR [IN-USE] Do you have another POP session running?")
	if err != nil {
		fmt.Println(err)
		return
	}
	refusal := status.Err("PASS")
	fmt.Println(refusal)
	fmt.Println("try later:", errors.Is(refusal, pop3.CodeInUse))
	// Output:
	// pop3: PASS refused: [IN-USE] Do you have another POP session running?
	// try later: true
}

func ExampleParseCommand() {
	command, err := pop3.ParseCommand([]byte("top 1 10"))
	if err != nil {
		fmt.Println(err)
		return
	}
	words, _ := command.Words(nil, 2)
	fmt.Println(command.Word, words)
	// Output: TOP [1 10]
}

func ExampleCapabilities() {
	caps := pop3.Capabilities{}
	caps.Add("SASL PLAIN SCRAM-SHA-256")
	caps.Add("EXPIRE 60")
	days, never, _ := caps.Expire()
	fmt.Println(caps.Has(pop3.CapSASL, "SCRAM-SHA-256"), days, never)
	// Output: true 60 false
}
