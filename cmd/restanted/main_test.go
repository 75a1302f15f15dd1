// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// screen is how many lines a help may have.
const screen = 32

// The help of each command fits a screen and shows an example.
func TestEveryHelpFitsAScreen(t *testing.T) {
	var cli commands
	parser, err := kong.New(&cli, kong.NoDefaultHelp())
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 15 {
		t.Fatalf("only %d commands were seen", len(leaves))
	}
	for _, leaf := range leaves {
		words := strings.Fields(leaf.FullPath())[1:]
		var out, problems bytes.Buffer
		if code := run(context.Background(), append(words, "--help"), strings.NewReader(""), &out, &problems); code != 0 || problems.Len() > 0 {
			t.Errorf("%v: status %d, %s", words, code, &problems)
		}
		text := out.String()
		if n := strings.Count(text, "\n"); n > screen {
			t.Errorf("%v: the help has %d lines", words, n)
		}
		if !strings.Contains(text, "Example: restanted "+strings.Join(words, " ")) {
			t.Errorf("%v: the help shows no example:\n%s", words, text)
		}
	}
}
