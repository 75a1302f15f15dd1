// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"restante.example/internal/control"
	"restante.example/internal/daemon"
)

type sessionsCommand struct {
	place
	User    string `placeholder:"USER" help:"Only those of this user."`
	Address string `placeholder:"ADDR" help:"Only those from an address, or a network such as 192.0.2.0/24."`
	JSON    bool   `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (sessionsCommand) Help() string {
	return `First who is signed in, then the connections that have not signed in, with what they are doing. CONN is the
connection's name in the log, which restanted kick takes too.

Example: restanted sessions --address 192.0.2.0/24 --data ~/mail`
}

// Run shows the connections.
func (s *sessionsCommand) Run(ctx context.Context, c *console) error {
	var list daemon.Sessions
	err := s.server(ctx, c, daemon.OpSessions, daemon.SessionsArgs{User: s.User, Address: s.Address}, &list)
	if err != nil {
		return c.said(err, s.User)
	}
	if s.JSON {
		return writeJSON(c, list)
	}
	if len(list.Sessions) == 0 {
		c.say("Nobody is signed in.")
	} else if err := c.sessionTable(list.Sessions); err != nil {
		return err
	}
	if len(list.Waiting) == 0 {
		return nil
	}
	fmt.Fprintln(c.out)
	c.say("Not signed in:")
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, c.text("ADDRESS\tCONN\tTLS\tSTATE\tAGE\tIDLE"))
	for _, i := range list.Waiting {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", orDash(i.Address), i.Connection, orDash(i.TLS), c.stage(i.State), elapsed(i.Age), elapsed(i.Idle))
	}
	return w.Flush()
}

// sessionTable shows who is signed in.
func (c *console) sessionTable(list []daemon.SessionInfo) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, c.text("USER\tADDRESS\tCONN\tTLS\tMECHANISM\tSINCE\tIDLE\tRETRIEVED\tDELETED"))
	for _, i := range list {
		user := i.User
		if i.Device != "" {
			user += " (" + i.Device + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", user, orDash(i.Address), i.Connection, orDash(i.TLS), i.Mechanism,
			i.Since.Local().Format(time.DateTime), elapsed(i.Idle), i.Retrieved, i.Deleted)
	}
	return w.Flush()
}

// stage says in the person's language how far a connection has come.
func (c *console) stage(state string) string {
	switch state {
	case "TLS handshake":
		return c.text("TLS handshake")
	case "no sign-in":
		return c.text("no sign-in")
	case "signing in":
		return c.text("signing in")
	}
	return state
}

func elapsed(seconds float64) string { return (time.Duration(seconds) * time.Second).String() }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type kickCommand struct {
	Who string `arg:"" optional:"" placeholder:"USER|CONN" help:"The user whose sessions end, or the connection that ends, by its name in restanted sessions."`
	place
	Connection string `placeholder:"CONN" help:"End one connection, also where a user has the same name."`
	Address    string `placeholder:"ADDR" help:"End all that comes from an address, or a network such as 192.0.2.0/24."`
}

// Help is shown below the flags.
func (kickCommand) Help() string {
	return `Nothing is deleted by it, and a QUIT that is being carried out is finished before. It keeps nobody out: mail
programs come again on their own. To bar a user, restanted user disable; a device, restanted device disable.

Example: restanted kick ana --data ~/mail`
}

// Run ends connections.
func (k *kickCommand) Run(ctx context.Context, c *console) error {
	said := 0
	for _, s := range []string{k.Who, k.Connection, k.Address} {
		if s != "" {
			said++
		}
	}
	if said != 1 {
		return c.fail(exitUsage, "say one of these: a user, a connection, or --address; see restanted kick --help")
	}
	var done daemon.Kicked
	err := k.server(ctx, c, daemon.OpKick, daemon.KickArgs{User: k.Who, Connection: k.Connection, Address: k.Address}, &done)
	if k.Who != "" && control.HasCode(err, daemon.CodeNoUser) {
		// It may be a connection. That there is none of that name either is what a
		// person who mistyped a user wants to know.
		err = k.server(ctx, c, daemon.OpKick, daemon.KickArgs{Connection: k.Who}, &done)
		if err == nil && done == (daemon.Kicked{}) {
			return c.fail(exitNoUser, "there is neither a user nor a connection %s; restanted sessions shows who is there", k.Who)
		}
	}
	if err != nil {
		return err
	}
	c.say("Ended: sessions %d, connections that had not signed in %d. Nothing was deleted.", done.Sessions, done.Waiting)
	return nil
}
