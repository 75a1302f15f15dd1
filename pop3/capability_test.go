// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3_test

import (
	"slices"
	"testing"
	"time"

	"restante.example/pop3"
)

func TestCapabilities(t *testing.T) {
	caps := pop3.Capabilities{}
	for _, line := range []string{
		"TOP", "uidl", "", "  ", "SASL plain SCRAM-SHA-256", "SASL LOGIN", "LOGIN-DELAY 900 USER", "EXPIRE 60",
	} {
		caps.Add(line)
	}
	if !caps.Has("top") || !caps.Has(pop3.CapUIDL) || caps.Has(pop3.CapSTLS) || len(caps) != 5 {
		t.Errorf("capabilities %v", caps)
	}
	if !caps.Has("SASL", "Login", "PLAIN") || caps.Has("SASL", "CRAM-MD5") {
		t.Errorf("SASL %v", caps["SASL"])
	}
	if got := caps.Mechanisms(); !slices.Equal(got, []string{"PLAIN", "SCRAM-SHA-256", "LOGIN"}) {
		t.Errorf("mechanisms %v", got)
	}
	if got := caps.LoginDelay(); got != 15*time.Minute {
		t.Errorf("delay %v", got)
	}
	var none pop3.Capabilities
	if none.Has("TOP") || len(none.Mechanisms()) > 0 || none.LoginDelay() != 0 {
		t.Error("nil announces something")
	}
	for _, lie := range []string{"LOGIN-DELAY", "LOGIN-DELAY -1", "LOGIN-DELAY x", "LOGIN-DELAY 99999999999"} {
		caps := pop3.Capabilities{}
		caps.Add(lie)
		if d := caps.LoginDelay(); d != 0 {
			t.Errorf("%s: %v", lie, d)
		}
	}
}

func TestExpire(t *testing.T) {
	for line, want := range map[string]struct {
		days             int
		never, announced bool
	}{
		"EXPIRE 60":      {60, false, true},
		"EXPIRE 0":       {0, false, true},
		"EXPIRE 30 USER": {30, false, true},
		"expire never":   {0, true, true},
		"EXPIRE":         {},
		"EXPIRE soon":    {},
		"EXPIRE -3":      {},
	} {
		caps := pop3.Capabilities{}
		caps.Add(line)
		days, never, announced := caps.Expire()
		if days != want.days || never != want.never || announced != want.announced {
			t.Errorf("%s: %d, %v, %v", line, days, never, announced)
		}
	}
}
