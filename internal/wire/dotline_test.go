// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// What is found is what a plain search finds, however many dots there are.
func TestDotLine(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, letters := range []string{"\r\n.", "\r\n.a", "..........\r\na", "." + strings.Repeat("a", 90) + "\r\n", "\r\n" + strings.Repeat("a", 200)} {
		for range 2000 {
			p := make([]byte, rng.IntN(3000))
			for i := range p {
				p[i] = letters[rng.IntN(len(letters))]
			}
			// Far behind, so that both ways of looking come to it.
			if len(p) > 3 && rng.IntN(2) == 0 {
				copy(p[rng.IntN(len(p)-3):], "\r\n.")
			}
			if got, want := dotLine(p), bytes.Index(p, crlfDot); got != want {
				t.Fatalf("%d, want %d in %q", got, want, p)
			}
		}
	}
	for _, p := range []string{"", ".", "\n.", "\r\n.", "\r\n..", "x\r\n.", ".\r\n.", "..\r\n", strings.Repeat(".", 10000) + "\r\n."} {
		if got, want := dotLine([]byte(p)), strings.Index(p, "\r\n."); got != want {
			t.Errorf("%.20q: %d, want %d", p, got, want)
		}
	}
}

func BenchmarkDotLine(b *testing.B) {
	for name, line := range map[string]string{
		"base64":  strings.Repeat("QUJD", 19) + "\r\n",
		"text":    "It is a text like others. It has some dots, as those have; about so many.\r\n",
		"dots":    strings.Repeat(".", 76) + "\r\n",
		"numbers": strings.Repeat("1.25 ", 15) + "\r\n",
	} {
		if name == "dots" {
			line = "x" + line
		}
		p := []byte(strings.Repeat(line, 32<<10/len(line)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				dotLine(p)
			}
		})
		b.Run(name+"/plain", func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				bytes.Index(p, crlfDot)
			}
		})
	}
}
