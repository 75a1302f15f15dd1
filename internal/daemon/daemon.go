// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package daemon puts the server together: it owns a data directory, opens the
// directory of users and the store in it, listens for mail programs, mail
// servers and the commands of the operator, and ends in good order.
//
// Three things can be had on their own: an Office, which is an opened data
// directory and the operations on it, for commands that work while no server
// runs; a Server, which serves an office; and Run, which is the life of a
// server from its start to the signal that ends it.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/directory"
	"restante.example/internal/intake"
	"restante.example/internal/metrics"
	"restante.example/internal/passwdfile"
	"restante.example/maildrop"
)

// Names in the data directory.
const (
	usersFile = "users.db"
	tlsDir    = "tls"
)

// MakeData makes the data directory, readable by its owner only, when there is
// none.
func MakeData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w (name another one with --data)", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("data directory: %s is a file; name a directory with --data", dir)
	}
	return nil
}

// Office is an opened data directory. Its methods may be called by any number
// of goroutines.
type Office struct {
	config    *config.Config
	log       *slog.Logger
	directory *directory.Directory
	store     *store
	homes     *homes
	intake    atomic.Pointer[intake.Intake]
	watch     atomic.Pointer[passwdfile.Watch] // nil where there is no passwd-file
	mirroring sync.Mutex                       // held while what it has read comes into force
	helper    *helper                          // nil where there is none; for whoever configures
	// end ends the sessions of a maildrop, and endView that of a view; nil where
	// nobody can have one.
	end     func(maildrop.ID)
	endView func(maildrop.ID, maildrop.View)
	// announce tells new sessions what is guaranteed to be kept; nil where there
	// are none.
	announce func()
	filling  filling
	metrics  *metrics.Metrics // nil where nobody measures
	// views is held by whoever changes devices and views together.
	views chan struct{}
}

// OpenOffice opens the data directory of a configuration, which the caller owns
// (control.Own). The caller closes it.
func OpenOffice(ctx context.Context, c *config.Config, log *slog.Logger) (*Office, error) {
	return openOffice(ctx, c, log, nil)
}

// openOffice is OpenOffice of a server that measures, where m is not nil.
func openOffice(ctx context.Context, c *config.Config, log *slog.Logger, m *metrics.Metrics) (*Office, error) {
	o := &Office{config: c, log: log, metrics: m, views: make(chan struct{}, 1)}
	var err error
	o.directory, err = directory.Open(ctx, UsersFile(c), &directory.Options{
		Logger: log,
		OnChange: func(id maildrop.ID) {
			if o.end != nil {
				o.end(id)
			}
		},
		OnRevoke: func(id maildrop.ID, view maildrop.View) {
			if o.endView != nil {
				o.endView(id, view)
			}
		},
		OnHash:          m.Hash(),
		Refresh:         o.refreshSources,
		Routing:         routing(c),
		SCRAMIterations: c.SCRAMIterations,
	})
	if err != nil {
		return nil, explain(err)
	}
	o.homes = &homes{config: c, directory: o.directory}
	if o.store, err = openStore(c, o.homes, log); err != nil {
		return nil, errors.Join(explain(err), o.directory.Close())
	}
	o.store.heal = o.heal
	o.configure(c)
	o.settleAll(ctx)
	return o, nil
}

// configure puts the limits of a configuration in force.
func (o *Office) configure(c *config.Config) {
	o.store.rules.Store(rulesOf(c))
	opts := &intake.Options{MaxSize: int64(c.Delivery.MaxMessage), RefuseOverQuota: c.Delivery.OverQuota == config.OverQuotaRefuse,
		Observer: o.metrics.Intake()}
	if c.Delivery.QuotaWarning {
		opts.Delivered = o.filling.note
	}
	o.intake.Store(intake.New(o.store, recipients{o.directory, quotaOf(c)}, opts))
	o.configureSources(c)
}

// Close closes the store and the directory.
func (o *Office) Close() error { return errors.Join(o.store.Close(), o.directory.Close()) }

// Mux returns the operations that need no server.
func (o *Office) Mux() control.Mux {
	m := control.Mux{}
	o.userOperations(m)
	o.aliasOperations(m)
	o.deviceOperations(m)
	o.keepingOperations(m)
	o.retentionOperations(m)
	control.Handle(m, OpDeliver, o.deliver)
	return m
}

// explain adds what to do to errors that have one common cause.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run the command as the owner of the data directory, or as root", err)
	}
	return err
}

// routing is how addresses lead to names.
func routing(c *config.Config) directory.Routing {
	return directory.Routing{LocalDomains: c.Delivery.LocalDomains, Detail: c.Delivery.Detail, NoDetail: c.Delivery.Detail == ""}
}

func quotaOf(c *config.Config) maildrop.Quota {
	return maildrop.Quota{Messages: c.Delivery.QuotaMessages, Octets: int64(c.Delivery.QuotaOctets)}
}

// recipients gives users without a quota of their own that of the configuration.
type recipients struct {
	maildrop.Directory
	quota maildrop.Quota
}

// Recipient implements maildrop.Directory.
func (r recipients) Recipient(ctx context.Context, address string) ([]maildrop.Recipient, error) {
	list, err := r.Directory.Recipient(ctx, address)
	for i := range list {
		if list[i].Quota == (maildrop.Quota{}) {
			list[i].Quota = r.quota
		}
	}
	return list, err
}

// UsersFile names the file with the users.
func UsersFile(c *config.Config) string { return filepath.Join(c.Data, usersFile) }
