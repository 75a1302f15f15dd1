// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Restante collects mail from POP3 servers and files it where its owner reads
// it: each message once, however server, network or process fail.
//
//	restante fetch --server pop.example.org --tls implicit --user ana --to maildir:Mail
//	restante fetch            collects for the accounts in config.toml
//	restante run              stays up and polls them
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"restante.example/internal/commandline"
)

// Exit codes, as sysexits.h has them. 0 means that all that was on offer is
// filed, now or earlier, which includes that there was none.
const (
	exitFailed      = 1  // what was asked for could not be done
	exitUsage       = 64 // EX_USAGE: the command line is wrong
	exitNoHost      = 68 // EX_NOHOST: there is no such server
	exitUnavailable = 69 // EX_UNAVAILABLE: the server refuses for good
	exitCantCreate  = 73 // EX_CANTCREAT: a destination cannot be opened
	exitIO          = 74 // EX_IOERR: the journal cannot be used
	exitTempfail    = 75 // EX_TEMPFAIL: not everything is filed; the next run tries again
	exitProtocol    = 76 // EX_PROTOCOL: certificate, TLS or conversation are not right
	exitNoPerm      = 77 // EX_NOPERM: the server refuses the password
	exitConfig      = 78 // EX_CONFIG: the configuration is wrong, or there is no password
)

func main() {
	keepHeapSmall()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// keepHeapSmall has garbage collected more often from the first time on:
// collecting mail waits for disk and network, so that a smaller heap is worth
// the processor time. A poll that finds nothing new ends before that.
func keepHeapSmall() {
	runtime.AddCleanup(new(*int), func(percent int) { debug.SetGCPercent(percent) }, 35)
}

// commands is the command line.
type commands struct {
	Help commandline.HelpFlag `short:"h" help:"Show help."`

	Fetch   fetchCommand   `cmd:"" help:"Collect mail, from the accounts in the file or from one server."`
	List    listCommand    `cmd:"" help:"Show what is on the server, and what of it was collected."`
	Run     runCommand     `cmd:"" help:"Stay up and collect for all accounts on a schedule."`
	Status  statusCommand  `cmd:"" help:"Show how the accounts are."`
	Unlock  unlockCommand  `cmd:"" help:"Give a password to restante run, or to the system's keyring."`
	Check   checkCommand   `cmd:"" name:"check-config" help:"Report all that is wrong with the accounts' file."`
	Version versionCommand `cmd:"" help:"Show the version."`
}

var program = commandline.Program{
	Name: "restante",
	Description: "Collects mail from POP3 servers, each message once.\n\n" +
		"Example: restante fetch --server pop.example.org --tls implicit --user ana --to maildir:Mail",
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
	con, err := newConsole(stdin, stdout, stderr, os.Getenv)
	if err != nil {
		fmt.Fprintln(stderr, "restante:", err)
		return exitFailed
	}
	parsed, err := program.Parse(args, stdout, stderr, kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(con))
	if errors.Is(err, commandline.ErrHelp) {
		return 0
	}
	if err != nil {
		con.warn("restante: %v; see restante --help", err)
		return exitUsage
	}
	return con.report(parsed.Run())
}
