// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restante.example/internal/cert"
)

// check runs check-config on a configuration with a certificate.
func check(t *testing.T, certFile, keyFile string) (status int, output string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.toml")
	text := fmt.Sprintf("data = %q\n[tls]\ncert_file = %q\nkey_file = %q\n", filepath.Join(t.TempDir(), "d"), certFile, keyFile)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	status = run(context.Background(), []string{"check-config", "--config", file}, strings.NewReader(""), &out, &out)
	return status, out.String()
}

func TestCheckConfigLooksAtTheKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := cert.SelfSigned(dir, []string{"localhost"}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "self-signed.key")
	if status, out := check(t, key, key); status != 0 {
		t.Errorf("a good key: %d, %s", status, out)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out := check(t, key, key); status != exitConfig || !strings.Contains(out, "chmod 600 "+key) {
		t.Errorf("a key that everybody may read: %d, %s", status, out)
	}
	if status, out := check(t, key, filepath.Join(dir, "none")); status != exitConfig || !strings.Contains(out, "no such file") {
		t.Errorf("no key: %d, %s", status, out)
	}
}

// The secret for introspection is tried as the server will read it, and nobody
// is connected to.
func TestCheckConfigLooksAtTheSecret(t *testing.T) {
	dir := t.TempDir()
	secret, data := filepath.Join(dir, "secret"), filepath.Join(dir, "d")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "c.toml")
	text := fmt.Sprintf("data = %q\nmechanisms = { XOAUTH2 = \"on\" }\n[tokens]\nintrospection = \"https://login.invalid/introspect\"\n"+
		"client_id = \"restante\"\nclient_secret_file = %q\nscopes = [\"mail\"]\n", data, secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func() (int, string) {
		var out bytes.Buffer
		status := run(context.Background(), []string{"check-config", "--config", file}, strings.NewReader(""), &out, &out)
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("the secret shows: %s", &out)
		}
		return status, out.String()
	}
	if status, out := check(); status != exitConfig || !strings.Contains(out, "chmod 600 "+secret) {
		t.Errorf("a secret that everybody may read: %d, %s", status, out)
	}
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := check(); status != 0 {
		t.Errorf("a good secret: %d, %s", status, out)
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if status, out := check(); status != exitConfig || !strings.Contains(out, "no such file") {
		t.Errorf("no secret: %d, %s", status, out)
	}
}
