// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"restante.example/internal/collector"
)

type statusCommand struct {
	Accounts []string `arg:"" optional:"" name:"account" help:"Accounts to show. Default: all."`
	placeFlags
	JSON bool `name:"json" help:"Show JSON."`
}

// Help is shown below the flags.
func (*statusCommand) Help() string { return "Example: restante status --json" }

// Run shows how the accounts are.
func (s *statusCommand) Run(c *console) error {
	list, err := s.choose(c, s.Accounts)
	if err != nil {
		return err
	}
	state, err := s.state(c)
	if err != nil {
		return err
	}
	all := make([]collector.Status, len(list))
	for i, a := range list {
		if all[i], err = collector.ReadStatus(state, a); err != nil {
			return err
		}
	}
	if s.JSON {
		out := json.NewEncoder(c.out)
		out.SetIndent("", "  ")
		return out.Encode(all)
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, c.text("ACCOUNT\tLAST SUCCESS\tNEXT POLL\tFILED\tLEFT\tSTATE"))
	for _, one := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", one.Account, clock(one.LastSuccess), clock(one.NextPoll), one.Total, one.Left, s.words(c, one))
	}
	return w.Flush()
}

// words says how an account is.
func (s *statusCommand) words(c *console, one collector.Status) string {
	switch {
	case one.Waiting == "password":
		return c.text("waits for its password: restante unlock %s", one.Account)
	case one.Error != "":
		return short(one.Error, 120)
	case one.LastAttempt.IsZero():
		return c.text("not polled yet")
	case one.Left > 0:
		return plural(one.Left, c.text("1 message could not be collected"), c.text("%d messages could not be collected", one.Left))
	}
	return c.text("all is filed")
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
