// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// The unit stays within the exposure that security.md sets: 2.0.
func TestUnitIsHardened(t *testing.T) {
	out, err := exec.Command(peers.Need(t, "systemd-analyze"), "security", "--offline=true", "--threshold=20", "../../packaging/restanted.service").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Overall exposure level") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The units are what systemd takes them for.
func TestUnitsAreValid(t *testing.T) {
	program := peers.Need(t, "systemd-analyze")
	dir := t.TempDir()
	for _, unit := range []string{"restanted.service", "restanted.socket", "restanted-lmtp.socket"} {
		text, err := os.ReadFile("../../packaging/" + unit)
		if err != nil {
			t.Fatal(err)
		}
		// The program need not be installed here.
		here := strings.ReplaceAll(string(text), "/usr/bin/restanted", "/bin/true")
		if err := os.WriteFile(filepath.Join(dir, unit), []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range []string{"restanted.service", "restanted.socket", "restanted-lmtp.socket"} {
		out, err := exec.Command(program, "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, unit)).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, unit) {
				t.Errorf("%s: %s", unit, line)
			}
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
