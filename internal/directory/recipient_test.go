// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"restante.example/maildrop"
)

func TestRecipient(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	ids := map[maildrop.ID]string{}
	for _, name := range []string{"u1", "u2", "u1@example.org", "jürgen@example.org", "plus+plus", "off"} {
		ids[quick(t, d, name)] = name
	}
	must(t, d.SetDisabled(ctx, "off", true))
	must(t, d.AddAlias(ctx, "info", "u1", "u2"))
	must(t, d.AddAlias(ctx, "all@example.org", "info", "u2", "u1@example.org"))
	must(t, d.SetCatchAll(ctx, "caught.org", "u2"))

	check := func(routing Routing, address string, want ...string) {
		t.Helper()
		must(t, d.SetRouting(routing))
		list, err := d.Recipient(ctx, address)
		var got []string
		for _, r := range list {
			got = append(got, ids[r.Maildrop])
			if r.Address != address {
				t.Errorf("%q: Address is %q", address, r.Address)
			}
		}
		if !slices.Equal(got, want) || (len(want) == 0) != errors.Is(err, maildrop.ErrNoUser) || len(want) > 0 && err != nil {
			t.Errorf("%q: %q, %v; want %q", address, got, err, want)
		}
	}
	none := Routing{}
	check(none, "u1", "u1")
	check(none, "U1@Any.Example", "u1")
	check(none, "u1@example.org", "u1@example.org")
	check(none, "U1@EXAMPLE.ORG", "u1@example.org")
	check(none, "u2@example.org") // a domain that is named takes only what is named
	check(none, "u1+lists@any.example", "u1")
	check(none, "u1+a+b@example.org", "u1@example.org")
	check(none, "plus+plus@any.example", "plus+plus")
	check(none, "plus@any.example")
	check(none, "+u1@any.example")
	check(none, "info@any.example", "u1", "u2")
	check(none, "info+x@any.example", "u1", "u2")
	check(none, "all@example.org", "u1", "u2", "u1@example.org")
	check(none, "JÜRGEN@example.org", "jürgen@example.org")
	check(none, "ju\u0308rgen+x@example.org", "jürgen@example.org")
	check(none, "off@any.example", "off")
	check(none, "nobody@caught.org", "u2")
	check(none, "strange name@caught.org", "u2")
	check(none, `"u1"@any.example`, "u1")
	check(none, `"u\1"@any.example`, "u1")
	check(none, `"u1@x"@any.example`)
	for _, bad := range []string{"", "@", "u1@", "@any.example", "../u1@x.org", "u1@[127.0.0.1]", "u1@a b", "\xff@x.org",
		"u1\x00@x.org", strings.Repeat("x", 600) + "@caught.org"} {
		check(none, bad)
	}

	local := Routing{LocalDomains: []string{"Example.org", "other.org"}}
	check(local, "u2@example.org", "u2")
	check(local, "u1@example.org", "u1@example.org")
	check(local, "u1@other.org", "u1")
	check(local, "u1@any.example")
	check(local, "u2", "u2")
	check(Routing{Detail: "--"}, "u1--x@any.example", "u1")
	check(Routing{Detail: "--"}, "u1+x@any.example")
	check(Routing{NoDetail: true}, "u1+x@any.example")

	must(t, d.SetCatchAll(ctx, "*", "info"))
	check(local, "whoever@any.example", "u1", "u2")
	check(local, "whoever@caught.org", "u2")
	check(local, "whoever")
	must(t, d.SetCatchAll(ctx, "*", ""))
	check(local, "whoever@any.example")
	if err := d.SetRouting(Routing{LocalDomains: []string{"good.org", "-bad-/"}}); err == nil {
		t.Error("a bad domain was taken")
	}
	if err := d.SetRouting(Routing{Detail: "@"}); err == nil {
		t.Error("@ parts details")
	}
}

func TestAliasesAreBounded(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	quick(t, d, "u1")
	target := "u1"
	for i := range maxDepth {
		name := fmt.Sprintf("a%d", i)
		must(t, d.AddAlias(ctx, name, target))
		target = name
	}
	if list, err := d.Recipient(ctx, "a9@x.org"); len(list) != 1 || err != nil {
		t.Errorf("ten in a row: %v, %v", list, err)
	}
	for _, test := range []struct{ name, target, want string }{
		{"a10", "a9", "more than 10"}, {"a0", "a9", "back to itself"}, {"a0", "a0", "back to itself"},
		{"u1", "a0", "there is a user"}, {"a b", "u1", "blank"}, {"b", "nobody", "neither"},
	} {
		err := d.AddAlias(ctx, test.name, test.target)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s to %s: %v", test.name, test.target, err)
		}
	}
	if err := d.AddAlias(ctx, "b"); err == nil {
		t.Error("an alias to nowhere")
	}
	list, err := d.ListAliases(ctx)
	if err != nil || len(list) != maxDepth || list[0].Name != "a0" || !slices.Equal(list[0].Targets, []string{"u1"}) {
		t.Errorf("%v, %v", list, err)
	}
	// A loop that got into the file by other means ends.
	must(t, d.exec("INSERT INTO aliases (name, target) VALUES ('a0', 'a9')"))
	if list, err := d.Recipient(ctx, "a5@x.org"); len(list) != 1 || err != nil {
		t.Errorf("a loop: %v, %v", list, err)
	}
}

func TestRemoveAlias(t *testing.T) {
	ctx := context.Background()
	d := open(t, nil)
	quick(t, d, "u1")
	quick(t, d, "u2")
	must(t, d.AddAlias(ctx, "info", "u1", "u2"))
	must(t, d.AddAlias(ctx, "all", "info"))
	must(t, d.SetCatchAll(ctx, "x.org", "info"))
	must(t, d.RemoveAlias(ctx, "info", "u1"))
	if list, err := d.Recipient(ctx, "any@x.org"); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if err := d.RemoveAlias(ctx, "info", "u1"); !errors.Is(err, maildrop.ErrNoUser) || err.Error() != `alias "info" does not lead to "u1"` {
		t.Error(err)
	}
	must(t, d.RemoveAlias(ctx, "info"))
	if aliases, err := d.ListAliases(ctx); len(aliases) != 0 || err != nil {
		t.Errorf("left: %v, %v", aliases, err)
	}
	if catchAlls, err := d.ListCatchAlls(ctx); len(catchAlls) != 0 || err != nil {
		t.Errorf("left: %v, %v", catchAlls, err)
	}
}

func FuzzRecipient(f *testing.F) {
	for _, seed := range []string{"u1@x.org", `"u\"1"@x.org`, "u1+a@caught.org", "info", "@", `"`, "\xff@\xff", "u1@xn--"} {
		f.Add(seed)
	}
	ctx := context.Background()
	d := open(f, nil)
	known := map[maildrop.ID]bool{quick(f, d, "u1"): true, quick(f, d, "u2@caught.org"): true}
	must(f, d.AddAlias(ctx, "info", "u1", "u2@caught.org"))
	must(f, d.SetCatchAll(ctx, "caught.org", "u1"))
	f.Fuzz(func(t *testing.T, address string) {
		list, err := d.Recipient(ctx, address)
		if err != nil && !errors.Is(err, maildrop.ErrNoUser) || (err == nil) != (len(list) > 0) || len(list) > 2 {
			t.Errorf("%q: %v, %v", address, list, err)
		}
		for _, r := range list {
			if !known[r.Maildrop] || r.Address != address {
				t.Errorf("%q: %+v", address, r)
			}
		}
	})
}
