// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net"
	"path/filepath"
	"testing"
)

func TestNotify(t *testing.T) {
	if err := notify(func(string) string { return "" }, notifyReady); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "n"), "@restante-test-" + filepath.Base(t.TempDir())} {
		abstract := name
		if name[0] == '@' {
			abstract = "\x00" + name[1:]
		}
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: abstract})
		if err != nil {
			t.Fatal(err)
		}
		if err := notify(func(string) string { return name }, notifyReady); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := l.Read(buf)
		if err != nil || string(buf[:n]) != "READY=1" {
			t.Errorf("%s: got %q, %v", name, buf[:n], err)
		}
		_ = l.Close()
	}
	if err := notify(func(string) string { return filepath.Join(t.TempDir(), "nobody") }, notifyReady); err == nil {
		t.Error("nobody heard it and nobody was told")
	}
}
