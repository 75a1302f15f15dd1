// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Restanted is the POP3 server of restante: it takes mail in by LMTP or through
// a pipe, keeps it safe, and hands it out by POP3 and POP3S.
//
//	restanted demo                      shows all of it, without any settings
//	restanted serve --data DIR          runs the server
//	restanted user add ana --data DIR   adds somebody who gets mail
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"restante.example/internal/checkpassword"
	"restante.example/internal/commandline"
	"restante.example/internal/daemon"
)

// Exit codes, as sysexits.h has them.
const (
	exitFailed   = 1  // what was asked for could not be done
	exitUsage    = 64 // EX_USAGE: the command line is wrong
	exitData     = 65 // EX_DATAERR: the message is too large, or an address is no address
	exitNoUser   = 67 // EX_NOUSER: there is no such recipient
	exitFull     = 69 // EX_UNAVAILABLE: the maildrop is full, for ever; not 73, which some senders try again
	exitTempfail = 75 // EX_TEMPFAIL: try again later
	exitConfig   = 78 // EX_CONFIG: the configuration is wrong
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// commands is the command line.
type commands struct {
	Help commandline.HelpFlag `short:"h" help:"Show help."`

	Demo     demoCommand      `cmd:"" help:"Show mail delivered and collected on this machine, without any settings."`
	Serve    serveCommand     `cmd:"" help:"Run the server."`
	User     userCommands     `cmd:"" help:"Add, change, list and remove users."`
	Device   deviceCommands   `cmd:"" help:"Passwords for the devices of a user, each of which collects all mail."`
	Alias    aliasCommands    `cmd:"" help:"Names that lead to users."`
	CatchAll catchAllCommand  `cmd:"" name:"catch-all" help:"Who gets the mail for a domain that nobody else gets."`
	Deliver  deliverCommand   `cmd:"" help:"Take in the message on standard input."`
	Check    checkCommand     `cmd:"" name:"check-config" help:"Report all that is wrong with the configuration."`
	Status   statusCommand    `cmd:"" help:"Show who is signed in, and counts."`
	Sessions sessionsCommand  `cmd:"" help:"Show the connections of mail programs."`
	Kick     kickCommand      `cmd:"" help:"End connections; nothing is deleted by that."`
	LogLevel logLevelCommand  `cmd:"" name:"log-level" help:"Change what the running server logs."`
	Undelete undeleteCommand  `cmd:"" help:"Bring back mail that was removed."`
	Mail     mailTraceCommand `cmd:"" name:"trace" help:"Tell where the mail of a user went."`
	Trace    traceCommand     `cmd:"" name:"trace-session" help:"Log the conversations of a user, or stop it."`
	Version  versionCommand   `cmd:"" help:"Show the version."`
}

var program = commandline.Program{
	Name: "restanted",
	Description: "The POP3 server of restante: it takes mail in, keeps it safe, and hands it to any mail program.\n\n" +
		"Example: restanted demo",
	Commands: commands{},
}

// exitError is an error with the status that the process ends with. An empty
// text means that everything has been said.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// run is the whole program; it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == daemon.ReplyCommand { // run by helpers, not by people
		return checkpassword.Reply(os.Getenv)
	}
	con, err := newConsole(stdin, stdout, stderr, os.Getenv)
	if err != nil {
		fmt.Fprintln(stderr, "restanted:", err)
		return exitFailed
	}
	parsed, err := program.Parse(args, stdout, stderr, kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(con))
	if errors.Is(err, commandline.ErrHelp) {
		return 0
	}
	if err != nil {
		con.warn("restanted: %v; see restanted --help", err)
		return exitUsage
	}
	return con.report(parsed.Run())
}
