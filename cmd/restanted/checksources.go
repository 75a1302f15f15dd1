// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"restante.example/internal/config"
	"restante.example/internal/daemon"
	"restante.example/internal/directory"
	"restante.example/internal/passwdfile"
)

// sources looks at who else knows users: as whom the server runs as.
func (k *checker) sources() {
	if path := k.conf.Users.PasswdFile; path != "" {
		k.passwdFile(path)
	}
	if helper := k.conf.Users.Helper; len(helper) > 0 {
		if err := unix.Access(helper[0], unix.X_OK); err != nil {
			k.problem("the helper %s cannot be run by the server: %v", helper[0], err)
		}
		if k.conf.Users.UnknownRecipients == config.UnknownDefer {
			k.say("Mail for somebody who has never signed in waits at the sender, since the helper cannot say who exists.")
		}
	}
}

// passwdFile reads the file and tells all that is not used or not understood.
func (k *checker) passwdFile(path string) {
	file, info, err := passwdfile.Load(path)
	if errors.Is(err, passwdfile.ErrChanging) {
		k.say("The passwd-file %s is being written; try again to have it looked at.", path)
		return
	}
	if err != nil {
		k.problem("the passwd-file cannot be used: %v", err)
		return
	}
	k.say("Users in the passwd-file %s: %d", path, len(file.Users))
	if info.Mode().Perm()&0o007 != 0 {
		k.problem("everybody on this machine may read the passwords in %s; chmod o-rwx %s mends it", path, path)
	}
	for _, n := range file.Notes {
		if n.Problem {
			k.problem("%s: lines %s: %s", path, lineNumbers(n), n.Text)
		} else {
			k.say("%s: lines %s: %s", path, lineNumbers(n), n.Text)
		}
	}
}

// lineNumbers writes the lines of a note as in "1-3, 7 and 20 more".
func lineNumbers(n passwdfile.Note) string {
	var words []string
	for i := 0; i < len(n.Lines); {
		j := i
		for j+1 < len(n.Lines) && n.Lines[j+1] == n.Lines[j]+1 {
			j++
		}
		if i == j {
			words = append(words, fmt.Sprint(n.Lines[i]))
		} else {
			words = append(words, fmt.Sprintf("%d-%d", n.Lines[i], n.Lines[j]))
		}
		i = j + 1
	}
	text := strings.Join(words, ", ")
	if more := n.Count - len(n.Lines); more > 0 {
		text += fmt.Sprintf(" (+%d)", more)
	}
	return text
}

// shadowed tells of lines of the passwd-file that do not count, because the
// server has users of its own under these names, and of users whose source is
// configured no more.
func (k *checker) shadowed(users []daemon.UserInfo) {
	u := k.conf.Users
	var own, left []string
	for _, i := range users {
		switch {
		case i.Source == "":
			own = append(own, i.Name)
		case i.Source == directory.SourcePasswdFile && u.PasswdFile == "" || i.Source == directory.SourceHelper && len(u.Helper) == 0:
			left = append(left, i.Name)
		}
	}
	if len(left) > 0 {
		k.problem("users from a source that the configuration names no more: %d, such as %s; none of them can sign in, and their mail is kept",
			len(left), left[0])
	}
	if u.PasswdFile == "" {
		return
	}
	file, _, err := passwdfile.Load(u.PasswdFile)
	if err != nil {
		return // which has been said
	}
	slices.Sort(own)
	for _, o := range file.Users {
		if _, found := slices.BinarySearch(own, o.Name); found {
			k.problem("%s stands in the passwd-file and is a user of the server, whose password holds; remove one of the two", o.Name)
		}
	}
}
