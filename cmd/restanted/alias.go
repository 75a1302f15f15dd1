// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"restante.example/internal/daemon"
	"restante.example/internal/directory"
)

type aliasCommands struct {
	Add    aliasAdd    `cmd:"" help:"Lead a name to users or other aliases."`
	Remove aliasRemove `cmd:"" help:"Take targets from an alias, or all."`
	List   aliasList   `cmd:"" help:"List the aliases."`
}

// aliasName is an alias and its targets.
type aliasName struct {
	place
	Name    string   `arg:"" help:"The alias, such as info@example.org."`
	Targets []string `arg:"" optional:"" help:"Users or aliases."`
}

func (a *aliasName) do(ctx context.Context, c *console, op string) error {
	return a.call(ctx, c, op, daemon.AliasArgs{Name: a.Name, Targets: a.Targets}, nil)
}

type aliasAdd struct{ aliasName }

// Help is shown below the flags.
func (aliasAdd) Help() string {
	return "Example: restanted alias add info@example.org ana@example.org --data ~/mail"
}

// Run adds an alias.
func (a *aliasAdd) Run(ctx context.Context, c *console) error {
	if err := a.do(ctx, c, daemon.OpAliasAdd); err != nil {
		return err
	}
	c.say("Mail for %s now goes to %s.", a.Name, strings.Join(a.Targets, ", "))
	return nil
}

type aliasRemove struct{ aliasName }

// Help is shown below the flags.
func (aliasRemove) Help() string {
	return "Example: restanted alias remove info@example.org --data ~/mail"
}

// Run removes an alias or some of its targets.
func (a *aliasRemove) Run(ctx context.Context, c *console) error {
	if err := a.do(ctx, c, daemon.OpAliasRemove); err != nil {
		return err
	}
	c.say("The alias %s has been changed.", a.Name)
	return nil
}

type aliasList struct {
	place
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (aliasList) Help() string { return "Example: restanted alias list --data ~/mail" }

// Run lists the aliases.
func (a *aliasList) Run(ctx context.Context, c *console) error {
	var list []directory.Alias
	if err := a.call(ctx, c, daemon.OpAliasList, daemon.Nothing{}, &list); err != nil {
		return err
	}
	if a.JSON {
		return writeJSON(c, list)
	}
	for _, alias := range list {
		fmt.Fprintf(c.out, "%s: %s\n", alias.Name, strings.Join(alias.Targets, ", "))
	}
	return nil
}

type catchAllCommand struct {
	Set    catchAllSet    `cmd:"" help:"Lead the mail that nobody else gets to a user or alias."`
	Remove catchAllRemove `cmd:"" help:"End a catch-all."`
	List   catchAllList   `cmd:"" help:"List the catch-alls."`
}

type catchAllSet struct {
	place
	Domain string `arg:"" help:"The domain; * is every domain."`
	Target string `arg:"" help:"A user or an alias."`
}

// Help is shown below the flags.
func (catchAllSet) Help() string {
	return "Example: restanted catch-all set example.org ana@example.org --data ~/mail"
}

// Run sets a catch-all.
func (a *catchAllSet) Run(ctx context.Context, c *console) error {
	if err := a.call(ctx, c, daemon.OpCatchAllSet, daemon.AliasArgs{Name: a.Domain, Targets: []string{a.Target}}, nil); err != nil {
		return err
	}
	c.say("Mail for %s that nobody else gets now goes to %s.", a.Domain, a.Target)
	return nil
}

type catchAllRemove struct {
	place
	Domain string `arg:"" help:"The domain; * is every domain."`
}

// Help is shown below the flags.
func (catchAllRemove) Help() string {
	return "Example: restanted catch-all remove example.org --data ~/mail"
}

// Run ends a catch-all.
func (a *catchAllRemove) Run(ctx context.Context, c *console) error {
	if err := a.call(ctx, c, daemon.OpCatchAllRemove, daemon.AliasArgs{Name: a.Domain}, nil); err != nil {
		return err
	}
	c.say("Mail for %s that nobody gets is now refused.", a.Domain)
	return nil
}

type catchAllList struct {
	place
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (catchAllList) Help() string { return "Example: restanted catch-all list --data ~/mail" }

// Run lists the catch-alls.
func (a *catchAllList) Run(ctx context.Context, c *console) error {
	var list map[string]string
	if err := a.call(ctx, c, daemon.OpCatchAllList, daemon.Nothing{}, &list); err != nil {
		return err
	}
	if a.JSON {
		return writeJSON(c, list)
	}
	for _, domain := range slices.Sorted(maps.Keys(list)) {
		fmt.Fprintf(c.out, "%s: %s\n", domain, list[domain])
	}
	return nil
}
