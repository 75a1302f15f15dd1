// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	const hidden = "hunter2"
	s := Secret(hidden)
	type config struct{ Password Secret }
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", s, "config", config{s})
	encoded, err := json.Marshal(config{s})
	if err != nil {
		t.Fatal(err)
	}
	outputs := []string{log.String(), string(encoded), fmt.Sprint(s), fmt.Sprint(&s), fmt.Sprintf("%v", []Secret{s})}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		outputs = append(outputs, fmt.Sprintf(verb, s), fmt.Sprintf(verb, config{s}))
	}
	for _, out := range outputs {
		if strings.Contains(out, hidden) || strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", hidden)) {
			t.Errorf("the secret shows in %q", out)
		}
		if !strings.Contains(out, "[redacted]") {
			t.Errorf("%q does not say that something is hidden", out)
		}
	}
}
