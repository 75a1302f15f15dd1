// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package accounts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// security.md, Client 9.
func TestCommandsOfOthers(t *testing.T) {
	for _, c := range []struct {
		mode        fs.FileMode
		owner, user int
		ok          bool
	}{
		{0o600, 0, 0, true},
		{0o600, 1000, 0, false}, // would run as root
		{0o600, 1000, 1000, true},
		{0o644, 0, 1000, true}, // the operator's
		{0o666, 1000, 1000, false},
		{0o602, 0, 0, false},
	} {
		if err := trust(c.mode, c.owner, c.user); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestCommandsInAFileThatOthersWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	const account = "[accounts.a]\nserver = \"pop.example.org\"\nuser = \"a\"\n"
	for text, line := range map[string]int{
		account + "password_env = \"P\"\nto = [\"maildir:m\"]\n":             0,
		account + "password_command = \"pass\"\nto = [\"maildir:m\"]\n":      4,
		account + "token_command = \"token\"\nto = [\"maildir:m\"]\n":        4,
		account + "password_env = \"P\"\nto = [\"maildir:m\", \"pipe:x\"]\n": 5,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o606); err != nil { // the umask does not matter
			t.Fatal(err)
		}
		_, err := Load(file, "")
		var problems Problems
		switch {
		case line == 0 && err != nil:
			t.Errorf("%s: %v", text, err)
		case line > 0 && (!errors.As(err, &problems) || len(problems) != 1 || problems[0].Line != line):
			t.Errorf("%s: %v", text, err)
		}
	}
}
