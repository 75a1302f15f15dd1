// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"fmt"
	"log/slog"
)

// Secret is a password or token that never shows in logs, errors or dumps:
// whatever prints it, prints "[redacted]". Convert it to string to use it. In a
// struct it must be an exported field: fmt does not ask unexported ones.
type Secret string

const redacted = "[redacted]"

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format prints "[redacted]" for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue makes slog write "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText makes JSON, TOML and other encoders write "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
