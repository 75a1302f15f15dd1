// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"restante.example/internal/intake"
)

// Whatever keeps mail from a recipient is said in the person's language.
func TestReasonsAreTranslated(t *testing.T) {
	c, err := newConsole(strings.NewReader(""), nil, nil, func(string) string { return "es" })
	if err != nil {
		t.Fatal(err)
	}
	for class := intake.NoUser; class <= intake.Temporary; class++ {
		if got := c.reason(class.String()); got == class.String() {
			t.Errorf("%q is not translated", class)
		}
	}
}
