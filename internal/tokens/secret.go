// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"restante.example/sasl"
)

// ReadSecret reads the secret that this server shows to a provider: a file with
// one line, which nobody but its owner may read.
func ReadSecret(name string) (sasl.Secret, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no file", name)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s holds a secret, and others may read it (mode %04o); chmod 600 %s mends it", name, info.Mode().Perm(), name)
	}
	const most = 4 << 10
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case len(text) > most, strings.ContainsAny(secret, "\r\n\x00"):
		return "", fmt.Errorf("%s must hold the secret alone, on one line", name)
	case secret == "":
		return "", errors.New(name + " is empty; it must hold the secret")
	}
	return sasl.Secret(secret), nil
}
