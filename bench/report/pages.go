// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The sides, each with the file of its results.
var sides = []struct{ id, subject, file string }{
	{"server", "server", "servers.json"},
	{"collect", "collector", "collectors.json"},
}

// Write keeps the results of a side in a folder and writes the pages anew.
func (r *Results) Write(folder, side string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, s := range sides {
		if s.id == side {
			if err := r.Save(filepath.Join(folder, s.file)); err != nil {
				return err
			}
		}
	}
	return Redraw(folder)
}

// Redraw writes all pages and plots of a folder from the results that are kept
// there, of which either side may be missing.
func Redraw(folder string) error {
	var found []*Results
	for _, s := range sides {
		r, err := Load(filepath.Join(folder, s.file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = append(found, r)
	}
	if len(found) == 0 {
		return fmt.Errorf("there are no results in %s: go run ./bench -all", folder)
	}
	plots := filepath.Join(folder, "plots")
	if err := os.RemoveAll(plots); err != nil {
		return err
	}
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	pages := map[string]string{"README.md": index(found)}
	for _, r := range found {
		for name, text := range r.pages() {
			pages[name] = text
		}
		for name, picture := range r.plots() {
			if err := os.WriteFile(filepath.Join(plots, name), picture, 0o644); err != nil {
				return err
			}
		}
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const written = "<!-- Written by `go run ./bench -all`, and from its results by `go run ./bench -redraw`: do not edit. -->\n\n"

// index is the page that leads to the others.
func index(found []*Results) string {
	var b strings.Builder
	b.WriteString(written + "# Benchmarks\n\nrestanted and restante beside other POP3 servers and collectors, in one run, with the same mail and the same load.\n" +
		"One command, as root on Debian, installs the others, measures everything and writes these pages:\n\n    go run ./bench -all\n\n" +
		"| | |\n| --- | --- |\n")
	for _, r := range found {
		for _, name := range r.pageNames() {
			fmt.Fprintf(&b, "| [%s](%s) | %s |\n", titles[name], name, r.contents(name))
		}
	}
	for _, s := range sides {
		fmt.Fprintf(&b, "| [%s](%[1]s) | every single figure of the %ss |\n", s.file, s.subject)
	}
	b.WriteString("\n## How to read it\n\n" +
		"- Less is better in every figure. A cell is the median of all rounds, with the least and the greatest value behind it; `[1×]` says that there were fewer rounds.\n" +
		"- **CPU** is that of all processes of a server together, the ended ones included, per unit of work. It is what holds from machine to machine; " +
		"times hold as ratios within one run.\n" +
		"- **Memory** of a server is the most that its processes together were seen to have (proportional set size, looked at four times a second); " +
		"that of a collector is the most that one of its processes had.\n" +
		"- Within a round every scenario runs on every program before the next one begins, and each round begins elsewhere.\n" +
		"- *Not possible*: the program has nothing of the kind. *Not run*: it would take more than this machine has, or is not installed. " +
		"*Over*: it was ended then. *Failed*: the reason is below the table.\n" +
		"- –: less than the system counts, or gone at each look.\n" +
		"- Servers and load are separate processes on loopback. All servers have the same ECDSA P-256 certificate and the same flushes.\n\n## Goals\n\n")
	for _, r := range found {
		b.WriteString(r.goals() + "\n")
	}
	for _, r := range found {
		b.WriteString(r.origin())
	}
	return b.String()
}

// titles of the pages.
var titles = map[string]string{
	"servers.md": "Servers", "growth.md": "Growth", "collectors.md": "Collectors", "settings.md": "Settings",
}

func (r *Results) pageNames() []string {
	if r.Sections[0].Side == "server" {
		return []string{"servers.md", "growth.md", "settings.md"}
	}
	return []string{"collectors.md"}
}

// contents names the sections of a page.
func (r *Results) contents(page string) string {
	if page == "settings.md" {
		return "The configuration files, whole"
	}
	var list []string
	for _, s := range r.Sections {
		if s.page() == page {
			list = append(list, s.Title)
		}
	}
	return strings.Join(list, "; ")
}

// page is on which page a section stands.
func (s Section) page() string {
	switch {
	case s.Side == "collector":
		return "collectors.md"
	case s.Growth != "":
		return "growth.md"
	}
	return "servers.md"
}

// pages returns the pages of a side.
func (r *Results) pages() map[string]string {
	pages := map[string]string{}
	for _, name := range r.pageNames() {
		if name == "settings.md" {
			pages[name] = r.settings()
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s# %s\n\n%s", written, titles[name], r.origin())
		for _, s := range r.Sections {
			if s.page() == name {
				b.WriteString(r.section(s, true))
			}
		}
		b.WriteString(r.versions())
		pages[name] = b.String()
	}
	return pages
}

// section writes a section.
func (r *Results) section(s Section, pictures bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n", s.Title, s.Text)
	if pictures {
		for _, p := range r.pictures(s) {
			fmt.Fprintf(&b, "![%s](plots/%s)\n\n", p.title, p.file)
		}
	}
	b.WriteString(r.table(s) + "\n")
	return b.String()
}

// origin says by which command and on which machine the figures were made.
func (r *Results) origin() string {
	return fmt.Sprintf("`%s` made the figures of the %ss on %s in %s: %s, on a machine with %s. What took longer than %v in a round was not repeated, and what took longer than %v was ended.\n\n",
		r.Command, r.Sections[0].Side, r.Made.Format("2 January 2006"), time.Duration(r.Took*float64(time.Second)).Round(time.Second),
		rounds(r.Rounds), strings.Join(r.Machine, ", "), time.Duration(r.Patience*float64(time.Second)), time.Duration(r.Limit*float64(time.Second)))
}

func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// versions lists what was measured.
func (r *Results) versions() string {
	var b strings.Builder
	b.WriteString("## What was measured\n\n| | version | settings |\n| --- | --- | --- |\n")
	for _, s := range r.Subjects {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Name, s.Version, strings.ReplaceAll(strings.Join(s.Settings, "; "), "|", `\|`))
	}
	return b.String()
}

// settings writes the configuration files.
func (r *Results) settings() string {
	var b strings.Builder
	b.WriteString(written + "# Settings\n\nPorts and folders are new for each scenario. What is not set is as the program has it by default.\n\n")
	for _, s := range r.Subjects {
		fmt.Fprintf(&b, "## %s\n\n%s: %s.\n\n", s.Name, s.Version, strings.Join(s.Settings, "; "))
		if s.File != "" {
			fmt.Fprintf(&b, "```\n%s```\n\n", s.File)
		}
	}
	return b.String()
}

// Text is all tables, for a terminal.
func (r *Results) Text() string {
	var b strings.Builder
	b.WriteString(r.origin() + r.goals() + "\n")
	for _, s := range r.Sections {
		var kept []Row
		for _, row := range s.Rows {
			if r.has(row) {
				kept = append(kept, row)
			}
		}
		if s.Rows = kept; len(kept) > 0 {
			b.WriteString(r.section(s, false))
		}
	}
	return b.String() + r.versions()
}

// has reports whether a row was measured at all.
func (r *Results) has(row Row) bool {
	for _, s := range r.Samples {
		if s.Row == row.ID {
			return true
		}
	}
	return false
}
