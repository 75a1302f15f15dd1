// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"restante.example/bench/report"
)

// floor is the server that does the least that can be done.
func floor(ctx context.Context, dir string, id identity) (server, error) {
	binary, err := build(ctx, dir, "floor", "restante.example/bench/floor")
	if err != nil {
		return server{}, err
	}
	return server{
		noPasswords: "it checks none",
		Subject: report.Subject{Name: "floor", Side: "server", Kind: report.Floor, Version: ourVersion(ctx), Settings: []string{
			"a few hundred lines of Go without passwords, locks and state, which believe file names: what one process can do at the least (bench/floor)"}},
		start: func(ctx context.Context, dir string, users crowd) (*instance, error) {
			mail := filepath.Join(dir, "mail")
			if err := os.MkdirAll(mail, 0o755); err != nil {
				return nil, err
			}
			a, err := freeAddresses(3)
			if err != nil {
				return nil, err
			}
			in := &instance{pop3: a[0], pop3s: a[1], lmtp: a[2], uid: os.Getuid()}
			in.box = func(user int) string { return filepath.Join(mail, fmt.Sprintf("u%d", user)) }
			return in, in.launch(ctx, dir, exec.Command(binary, mail, a[0], a[1], a[2], id.cert, id.key))
		},
	}, nil
}
