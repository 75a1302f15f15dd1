// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"restante.example/internal/config"
	"restante.example/internal/daemon"
)

// mechanisms looks for ways to sign in that are on and that the users lack
// something for.
func (k *checker) mechanisms(users []daemon.UserInfo) {
	for _, m := range []struct{ name, hash, flag string }{
		{"SCRAM-SHA-256", "SHA-256", "--scram"}, {"SCRAM-SHA-1", "SHA-1", "--scram-sha-1"},
	} {
		var lacking []string
		for _, u := range users {
			if slices.Contains(u.LacksSCRAM, m.hash) {
				lacking = append(lacking, u.Name)
			}
		}
		on := k.conf.Accepts(m.name) || k.conf.Accepts(m.name+"-PLUS")
		switch {
		case len(lacking) == 0 || !on:
		case k.requires(m.name) || k.requires(m.name+"-PLUS"):
			k.problem("%s is required, and works for nobody while a password in use has no keys for it, of: %s; "+
				"`restanted user passwd NAME %s` and `restanted device passwd NAME DEVICE` store them", m.name, some(lacking), m.flag)
		default:
			k.say("%s is not announced while a password in use has no keys for it, of: %s", m.name, some(lacking))
		}
	}
	if k.conf.Accepts("APOP") && !slices.ContainsFunc(users, func(u daemon.UserInfo) bool { return u.APOP }) {
		k.problem("APOP is on, and no user has a password for it: restanted user apop NAME on")
	}
}

// requires reports whether a way to sign in is required anywhere.
func (k *checker) requires(name string) bool {
	return k.conf.Mechanisms.Offers()[name] == config.OfferRequired ||
		slices.ContainsFunc(k.conf.Listeners, func(a config.Listener) bool { return a.Mechanisms.Offers()[name] == config.OfferRequired })
}

// some returns the first few names of a list.
func some(names []string) string {
	const few = 5
	if len(names) > few {
		names = append(slices.Clone(names[:few]), "…")
	}
	return strings.Join(names, ", ")
}
