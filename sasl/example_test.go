// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"errors"
	"fmt"

	"restante.example/sasl"
)

// A client signs in at a server; here the two speak without a network.
func Example() {
	salt := []byte("a salt of sixteen")
	key, err := sasl.DeriveSCRAM("SHA-256", "correct horse", salt, 4096)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := sasl.SCRAMServer("SHA-256", func(identity, name string) (sasl.SCRAMKeys, error) {
		return sasl.SCRAMKeys{Salt: salt, Iterations: 4096, Keys: []sasl.SCRAMKey{key}}, nil
	}, false)
	client := sasl.SCRAMClient("SHA-256", "", "u1", "correct horse", false)

	mechanism, response, err := client.Start()
	for done := false; err == nil && !client.Done(); {
		var challenge []byte
		if challenge, done, err = server.Next(response); err == nil {
			response, err = client.Next(challenge)
		}
		if done {
			break
		}
	}
	fmt.Println(mechanism, err, client.Done(), server.Name(), server.Matched())
	// Output: SCRAM-SHA-256 <nil> true u1 0
}

func ExamplePlainServer() {
	server := sasl.PlainServer(func(identity, user, password string) error {
		if user != "u1" || password != "correct horse" {
			return sasl.ErrCredentials
		}
		return nil
	})
	_, done, err := server.Next([]byte("\x00u1\x00battery staple"))
	fmt.Println(done, errors.Is(err, sasl.ErrCredentials))
	// Output: false true
}

func ExampleSecret() {
	password := sasl.Secret("correct horse")
	fmt.Printf("%v, %d octets\n", password, len(password))
	// Output: [redacted], 13 octets
}
