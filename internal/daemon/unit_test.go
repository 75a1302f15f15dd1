// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os/exec"
	"strings"
	"testing"
)

// The unit stays within the exposure that security.md sets: 2.0.
func TestUnitIsHardened(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not there: install systemd to run this test")
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", "../../packaging/restanted.service").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Overall exposure level") {
		t.Errorf("%v\n%s", err, out)
	}
}
