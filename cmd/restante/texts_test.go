// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"restante.example/internal/texts/textstest"
)

func TestEveryTextIsTranslated(t *testing.T) {
	textstest.Check(t, ".", spanish, "say", "warn", "fail", "text", "problem")
}
