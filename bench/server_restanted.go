// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"

	"restante.example/bench/report"
	"restante.example/internal/directory"
	"restante.example/sasl"
)

// build builds a command of this repository.
func build(ctx context.Context, dir, name, pkg string) (string, error) {
	binary := filepath.Join(dir, name)
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// ourVersion names the commit that is measured, as far as git knows.
func ourVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "of this repository"
	}
	version := "commit " + strings.TrimSpace(string(out))
	if exec.CommandContext(ctx, "git", "diff", "--quiet", "HEAD", "--", ":/*.go").Run() != nil {
		version += " with changes"
	}
	return version
}

// restanted is our server. The certificate is that of all servers.
func restanted(ctx context.Context, dir string, id identity) (server, error) {
	binary, err := build(ctx, dir, "restanted", "restante.example/cmd/restanted")
	if err != nil {
		return server{}, err
	}
	return server{
		Subject: report.Subject{Name: "restanted", Side: "server", Kind: report.Ours, Version: ourVersion(ctx),
			Settings: []string{"everything on: locks, journal, checksums, limits, guard against guessing, sign-in memory; only the limits below are raised, since all of the load comes from one address"},
			File:     restantedConfig},
		start: func(ctx context.Context, dir string, users crowd) (*instance, error) {
			return startRestanted(ctx, binary, dir, users, id)
		},
	}, nil
}

// restantedConfig raises the limits that one benchmark client would meet; all
// that concerns safety is as it is by default.
const restantedConfig = `[limits]
sessions = 20000
unauthenticated = 20000
per_address = 20000
lmtp_sessions = 200
`

func startRestanted(ctx context.Context, binary, dir string, users crowd, id identity) (*instance, error) {
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if err := addUsers(ctx, filepath.Join(data, "users.db"), users); err != nil {
		return nil, fmt.Errorf("making users: %w", err)
	}
	config := filepath.Join(dir, "restanted.toml")
	if err := os.WriteFile(config, []byte(restantedConfig), 0o600); err != nil {
		return nil, err
	}
	a, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	in := &instance{pop3: a[0], pop3s: a[1], lmtp: a[2], uid: os.Getuid()}
	in.box = func(user int) string { return filepath.Join(data, "mail", fmt.Sprintf("u%d", user), "Maildir") }
	return in, in.launch(ctx, dir, exec.Command(binary, "serve", "--insecure-serve-as-root", "--config", config, "--data", data,
		"--pop3", a[0], "--pop3s", a[1], "--lmtp", a[2], "--tls-cert", id.cert, "--tls-key", id.key))
}

// addUsers makes the users of a restanted that does not run. Only the first is
// made in the ordinary way, which takes a slow hash; the others are made in its
// likeness.
func addUsers(ctx context.Context, file string, users crowd) (err error) {
	d, err := directory.Open(ctx, file, nil)
	if err != nil {
		return err
	}
	_, err = d.Add(ctx, directory.NewUser{Name: "u0", Password: sasl.Secret(password)})
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if !users.slow {
		if _, err := db.ExecContext(ctx, "UPDATE users SET hash = ?", quickHash()); err != nil {
			return err
		}
	}
	copied, err := columnsBut(ctx, db, "users", "id", "name")
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no more than an error once it is committed
	insert, err := tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO users (id, name, %[1]s) SELECT id || ?, ?, %[1]s FROM users WHERE name = 'u0'", copied))
	if err != nil {
		return err
	}
	for i := 1; i < users.n; i++ {
		if _, err := insert.ExecContext(ctx, fmt.Sprintf("%06x", i), fmt.Sprintf("u%d", i)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// columnsBut names the columns of a table except some.
func columnsBut(ctx context.Context, db *sql.DB, table string, but1, but2 string) (string, error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		if name != but1 && name != but2 {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", "), rows.Err()
}

// quickHash is the password's hash at the least cost, and slowHash what
// restanted makes, for a server that reads the same form.
func quickHash() string { return argon2id(1, 8) }
func slowHash() string  { return argon2id(2, 19*1024) }

func argon2id(passes, kib uint32) string {
	salt := []byte("0123456789abcdef")
	sum := argon2.IDKey([]byte(password), salt, passes, kib, 1, 32)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, kib, passes, b64.EncodeToString(salt), b64.EncodeToString(sum))
}
