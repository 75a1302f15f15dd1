// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"restante.example/maildrop"
)

// maxDepth is how many aliases may stand behind each other.
const maxDepth = 10

// Alias is a name that leads to others.
type Alias struct {
	Name    string
	Targets []string
}

// AddAlias makes an alias that leads to users or other aliases, or adds them to
// one that is there. It refuses a loop, and more than ten aliases in a row.
func (d *Directory) AddAlias(ctx context.Context, name string, targets ...string) error {
	clean, err := CleanName(name)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("alias %q leads nowhere; name at least one user", clean)
	}
	return d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) error {
		if _, taken := s.users[clean]; taken {
			return refuse(ErrExists, "there is a user %q already", clean)
		}
		changed := maps.Clone(s.aliases)
		for _, t := range targets {
			target, err := s.target(t)
			if err != nil {
				return err
			}
			changed[clean] = append(slices.Clone(changed[clean]), target)
			_, err = tx.ExecContext(ctx, "INSERT OR IGNORE INTO aliases (name, target) VALUES (?, ?)", clean, target)
			if err != nil {
				return err
			}
		}
		return checkAliases(changed)
	})
}

// target returns the clean name of a user or alias that exists.
func (s *snapshot) target(name string) (string, error) {
	clean, err := CleanName(name)
	if err != nil {
		return "", err
	}
	_, user := s.users[clean]
	_, alias := s.aliases[clean]
	if !user && !alias {
		return "", refuse(maildrop.ErrNoUser, "%q is neither a user nor an alias; add it first", clean)
	}
	return clean, nil
}

// checkAliases refuses loops and chains that are too long.
func checkAliases(aliases map[string][]string) error {
	const underway = -1
	depths := map[string]int{} // aliases in the longest chain that begins here
	var visit func(name string) (int, error)
	visit = func(name string) (int, error) {
		targets, alias := aliases[name]
		if !alias {
			return 0, nil
		}
		if depth := depths[name]; depth == underway {
			return 0, fmt.Errorf("alias %q would lead back to itself; choose another target", name)
		} else if depth > 0 {
			return depth, nil
		}
		depths[name] = underway
		longest := 0
		for _, t := range targets {
			depth, err := visit(t)
			if err != nil {
				return 0, err
			}
			longest = max(longest, depth)
		}
		depths[name] = longest + 1
		if longest+1 > maxDepth {
			return 0, fmt.Errorf("more than %d aliases would stand behind each other at %q; lead to the users directly", maxDepth, name)
		}
		return longest + 1, nil
	}
	for _, name := range slices.Sorted(maps.Keys(aliases)) {
		if _, err := visit(name); err != nil {
			return err
		}
	}
	return nil
}

// RemoveAlias takes targets from an alias; without targets, and when none is
// left, the alias goes, and what leads to it.
func (d *Directory) RemoveAlias(ctx context.Context, name string, targets ...string) error {
	clean, err := CleanName(name)
	if err != nil {
		return err
	}
	return d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) error {
		left, ok := s.aliases[clean]
		if !ok {
			return refuse(maildrop.ErrNoUser, "there is no alias %q", clean)
		}
		if len(targets) == 0 {
			targets = left
		}
		for _, t := range targets {
			target, err := CleanName(t)
			if err != nil {
				return err
			}
			if !slices.Contains(left, target) {
				return refuse(maildrop.ErrNoUser, "alias %q does not lead to %q", clean, target)
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM aliases WHERE name = ? AND target = ?", clean, target); err != nil {
				return err
			}
		}
		if len(targets) < len(left) {
			return nil
		}
		return removeTarget(ctx, tx, clean)
	})
}

// ListAliases returns all aliases in the order of their names.
func (d *Directory) ListAliases(context.Context) ([]Alias, error) {
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	list := make([]Alias, 0, len(s.aliases))
	for name, targets := range s.aliases {
		list = append(list, Alias{name, slices.Clone(targets)})
	}
	slices.SortFunc(list, func(a, b Alias) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// SetCatchAll leads the mail for a domain that no name there takes to a user or
// alias. The domain "*" is every domain. An empty target ends it.
func (d *Directory) SetCatchAll(ctx context.Context, domain, target string) error {
	clean := domain
	if domain != "*" {
		var err error
		if clean, err = CleanDomain(domain); err != nil {
			return err
		}
	}
	return d.change(ctx, func(ctx context.Context, tx *sql.Tx, s *snapshot) error {
		if target == "" {
			_, err := tx.ExecContext(ctx, "DELETE FROM catch_alls WHERE domain = ?", clean)
			return err
		}
		to, err := s.target(target)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO catch_alls (domain, target) VALUES (?, ?)", clean, to)
		return err
	})
}

// ListCatchAlls returns the target for each domain that has a catch-all.
func (d *Directory) ListCatchAlls(context.Context) (map[string]string, error) {
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	return maps.Clone(s.catchAlls), nil
}
