// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"time"
)

// Users says who else knows users and their passwords, besides the server
// itself. Who is asked: first its own users, then the passwd-file, then the
// helper; the first that knows a name decides.
type Users struct {
	// PasswdFile is a file of users and passwords in Dovecot's format, read again
	// when it changes; "" for none.
	PasswdFile string `toml:"passwd_file"`
	// Helper is a program with its arguments that checks a password as
	// checkpassword does; none unless it is named.
	Helper []string `toml:"helper"`
	// HelperTimeout is how long it may take.
	HelperTimeout Duration `toml:"helper_timeout"`
	// HelperAtOnce is how many may run at once; 64 more sign-ins wait.
	HelperAtOnce int `toml:"helper_at_once"`
	// HelperRemember is for how long a right password need not be checked again;
	// 0 checks it each time.
	HelperRemember Duration `toml:"helper_remember"`
	// UnknownRecipients says what becomes of mail for a name that has not signed
	// in yet, where there is a helper, which cannot be asked who exists.
	UnknownRecipients string `toml:"unknown_recipients"`
}

// Values of Users.UnknownRecipients: the sender tries again later, or is told
// that there is no such user.
const (
	UnknownDefer  = "defer"
	UnknownRefuse = "refuse"
)

func defaultUsers() Users {
	return Users{Helper: []string{}, HelperTimeout: Duration(10 * time.Second), HelperAtOnce: 8, UnknownRecipients: UnknownDefer}
}

// checkUsers looks at the sources of users.
func (l *loader) checkUsers() {
	u := l.config.Users
	l.oneOf("users.unknown_recipients", u.UnknownRecipients, UnknownDefer, UnknownRefuse)
	if len(u.Helper) > 0 && !filepath.IsAbs(u.Helper[0]) {
		l.problem("users.helper", "helper %q must be the absolute path of a program, with its arguments behind it", u.Helper[0])
	}
	if u.HelperTimeout < Duration(100*time.Millisecond) || u.HelperTimeout > Duration(time.Minute) {
		l.problem("users.helper_timeout", "helper_timeout is %v; it can be from 100ms to 1m", u.HelperTimeout)
	}
	if u.HelperAtOnce < 1 || u.HelperAtOnce > 1000 {
		l.problem("users.helper_at_once", "helper_at_once is %d; it can be from 1 to 1000", u.HelperAtOnce)
	}
	if u.HelperRemember < 0 || u.HelperRemember > day {
		l.problem("users.helper_remember", "helper_remember is %v; it can be from 0s, which is not at all, to 24h", u.HelperRemember)
	}
}
