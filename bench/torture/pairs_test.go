// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"restante.example/collect"
	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

// TestFaultsTwoByTwo: what the spoiler holds restante to can be kept under each
// pair of faults, whichever of them ends first. The endless ones, which take most
// of four minutes and end in a broken connection like others, are left out.
func TestFaultsTwoByTwo(t *testing.T) {
	const messages, spoiltMessage = 8, 4
	list := slices.DeleteFunc(spoilt(spoiltMessage), func(f pop3fault.Fault) bool { return strings.HasPrefix(f.Name, "Endless") })
	for i, a := range list {
		for _, b := range list[i:] {
			if contradicts(a.Name, b.Name) {
				continue
			}
			for _, sessions := range [][2]int{{1, 1}, {1, 3}, {3, 1}, {2, 2}} {
				for _, remove := range []bool{false, true} {
					name := fmt.Sprintf("%s %d, %s %d, delete %t", a.Name, sessions[0], b.Name, sessions[1], remove)
					faults := []pop3fault.Fault{a.Sessions(sessions[0]), b.Sessions(sessions[1])}
					var wrong []string // told outside of the bubble, where a failure would end all
					synctest.Test(t, func(t *testing.T) { wrong = collectUnder(t, faults, remove, messages) })
					for _, w := range wrong {
						t.Errorf("%s: %s", name, w)
					}
				}
			}
		}
	}
}

// collectUnder collects until the faults are over, and says what is wrong then.
func collectUnder(t *testing.T, faults []pop3fault.Fault, remove bool, messages int) (wrong []string) {
	server, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: pop3fault.Numbered(messages, 500), Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	filed := map[string]int{}
	account := collect.Account{
		ID: "a", Credentials: collect.Password("u1", "secret"), Keep: collect.Keep{Delete: remove},
		Dial: func(ctx context.Context, opt *pop3client.Options) (*pop3client.Client, error) {
			conn, err := server.DialContext(ctx, "tcp", "")
			if err != nil {
				return nil, err
			}
			opt.InsecurePassword = true
			return pop3client.New(ctx, conn, opt)
		},
		Destinations: []collect.Destination{collect.HandlerFunc("box", func(_ context.Context, _ collect.Message, body io.ReadSeeker) error {
			sum := sha256.New()
			_, err := io.Copy(sum, body)
			filed[hex.EncodeToString(sum.Sum(nil))]++
			return err
		})},
	}
	journal := collect.NewMemoryJournal()
	whole := false
	for try := 0; try < 12 && !(whole && server.Sessions() > 3); try++ {
		report, err := collect.Run(t.Context(), account, journal)
		whole = err == nil && report.Complete()
	}
	if !whole {
		wrong = append(wrong, "no run came to a good end")
	}
	for i, m := range server.Messages() {
		if n, deleted := filed[m.Sum()], server.Records()[i].Deleted; n != 1 || deleted && !remove {
			wrong = append(wrong, fmt.Sprintf("message %d is filed %d times, deleted on the server: %t", i+1, n, deleted))
		}
		delete(filed, m.Sum())
	}
	if len(filed) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d things are filed that were never sent", len(filed)))
	}
	return wrong
}
