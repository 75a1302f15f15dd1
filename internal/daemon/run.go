// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"restante.example/internal/config"
)

// RunOptions are what Run needs of the world.
type RunOptions struct {
	// Load reads the configuration, at the start and at each SIGHUP.
	Load    func() (*config.Config, error)
	Log     *Log
	Version string
	Getenv  func(string) string
	// Signals gives SIGHUP to read the configuration again; the first of every
	// other signal ends the server in good order, the second at once.
	Signals <-chan os.Signal
	// ReadyFile, where not empty, is written when everything answers.
	ReadyFile string
	// Confine lets the process give up what it does not need, for good.
	Confine bool
	// InsecureAsRoot serves as root where the data directory is root's, instead of
	// returning a RootError.
	InsecureAsRoot bool
}

// Run is the life of a server. It returns when the server has ended.
func Run(ctx context.Context, c *config.Config, o RunOptions) error {
	if !o.InsecureAsRoot {
		if err := neverAsRoot(c.Data); err != nil {
			return err
		}
	}
	s, err := openPatiently(ctx, c, &o)
	if err != nil {
		return err
	}
	if o.ReadyFile != "" {
		if err := WriteReady(o.ReadyFile, s.Ready()); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	if o.Confine {
		if err := s.confine(c, &o); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hurry, now := context.WithCancel(context.Background())
	defer now()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, hurry) }()
	s.tell(&o, notifyReady, s.statusLine())
	if every := watchdogEvery(o.Getenv); every > 0 {
		watching, unwatch := context.WithCancel(context.Background())
		defer unwatch()
		go s.watch(watching, &o, every)
	}
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-o.Signals:
			switch {
			case sig == syscall.SIGHUP && ctx.Err() == nil:
				s.reload(&o)
			case sig == syscall.SIGHUP:
			case ctx.Err() == nil:
				s.log.Info("stopping; once more to stop at once", "signal", sig.String())
				s.tell(&o, notifyStopping, notifyStatus("waiting for sessions to end"),
					notifyExtend(time.Duration(s.config.Load().Timeouts.Drain)+stopSlack))
				stop()
			default:
				now()
			}
		}
	}
}

// Ready is what a ready file says, as JSON: where everything is.
type Ready struct {
	PID int `json:"pid"`
	// POP3, POP3S, LMTP and Metrics are the first addresses of the service, or empty.
	POP3      string      `json:"pop3"`
	POP3S     string      `json:"pop3s"`
	LMTP      string      `json:"lmtp"`
	Metrics   string      `json:"metrics,omitempty"`
	Listening []Listening `json:"listening"`
	Data      string      `json:"data"`
	// Fingerprint is the SHA-256 of the certificate in hex; CAFile names the
	// self-signed certificate, or is empty.
	Fingerprint string `json:"fingerprint"`
	CAFile      string `json:"ca_file"`
	// User is set by the demo.
	User string `json:"user,omitempty"`
}

// Ready returns what the ready file is to say.
func (s *Server) Ready() Ready {
	r := Ready{PID: os.Getpid(), Listening: s.Listening(), Data: s.config.Load().Data,
		Fingerprint: s.reception.Load().Fingerprint(), CAFile: s.caFile()}
	for _, l := range r.Listening {
		first := map[string]*string{POP3: &r.POP3, POP3S: &r.POP3S, LMTP: &r.LMTP, Metrics: &r.Metrics}[l.Service]
		if *first == "" {
			*first = l.Address
		}
	}
	return r
}

// WriteReady writes a ready file: whoever sees it sees the whole of it.
func WriteReady(name string, r Ready) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".ready-*")
	if err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("ready file: %w", err), os.Remove(f.Name()))
	}
	return nil
}
