// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package house holds the rules of the repository as tests: who may import
// whom, that the documents name tests that exist, and the like. It has no code
// of its own.
package house
