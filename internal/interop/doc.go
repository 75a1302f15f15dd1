// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package interop holds tests in which mail programs of others use restanted:
// the real command, with its own data directory on loopback ports. It has no code
// of its own. What the programs do that is worth knowing is in docs/quirks.md.
package interop
