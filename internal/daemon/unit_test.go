// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os/exec"
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
