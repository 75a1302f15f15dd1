// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package peers

import "testing"

const why = "the servers of others come from Debian's packages: run the tests on Debian, as CI does"

// Postfix skips the test.
func Postfix(t testing.TB, transport string) *PostfixServer {
	t.Helper()
	Missing(t, why)
	return nil
}

// Log returns nothing.
func (p *PostfixServer) Log(testing.TB) string { return "" }

// Queue returns nothing.
func (p *PostfixServer) Queue(testing.TB) string { return "" }

func noServer(t testing.TB) *POP3Server {
	t.Helper()
	Missing(t, why)
	return nil
}

// Dovecot skips the test.
func Dovecot(t testing.TB, messages []string) *POP3Server { return noServer(t) }

// DovecotUsers is Dovecot with more users.
func DovecotUsers(t testing.TB, messages []string, more [][3]string) *POP3Server { return noServer(t) }

// Courier skips the test.
func Courier(t testing.TB, messages []string) *POP3Server { return noServer(t) }

// Cyrus skips the test.
func Cyrus(t testing.TB, messages []string) *POP3Server { return noServer(t) }

// Popa3d skips the test.
func Popa3d(t testing.TB, messages []string) *POP3Server { return noServer(t) }

// Mailutils skips the test.
func Mailutils(t testing.TB, messages []string) *POP3Server { return noServer(t) }
