// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/metrics"
	"restante.example/maildrop"
)

// The checks of readiness. What they find wrong is said in a few words, which
// name nobody; the log has the whole.
const (
	checkListeners = "listeners"
	checkStore     = "store"
	checkJournals  = "journals"
	checkDirectory = "directory"
	checkRunning   = "running"
)

const (
	// probeEvery is how long the answers of the store and the directory are
	// believed: each probe of the store is a flushed write.
	probeEvery = 5 * time.Second
	// probePatience is how long they may take. A disk that hangs may never answer.
	probePatience = 3 * time.Second
	probeName     = ".probe"
	// probeUser is looked up to see that the directory answers; whether there is
	// such a user does not matter.
	probeUser = "postmaster"
)

// probe holds what the last one has found.
type probe struct {
	mu      sync.Mutex
	at      time.Time
	found   []metrics.Check
	running chan struct{} // closed when the probe that runs has ended; nil when none does
	said    [2]string     // what the log was told last of store and directory
}

// checks says whether the server can do its work: each check with what is wrong.
func (s *Server) checks() []metrics.Check {
	list := []metrics.Check{{Name: checkRunning}, {Name: checkListeners}, {Name: checkJournals}}
	if s.draining.Load() {
		list[0].Problem = "the server is stopping"
	}
	all := int64(len(s.listeners.all())) + 1 // and the control socket
	if up := s.measuring.serving.Load(); up < all {
		list[1].Problem = fmt.Sprintf("%d of %d are served", up, all)
	}
	if s.measuring.office.store.maildirs.Stats().JournalFailing {
		list[2].Problem = "the latest write to a journal failed"
	}
	return append(list, s.probed()...)
}

// probed asks store and directory, unless that was done a moment ago. One that
// hangs is asked once, and holds nobody longer than patience.
func (s *Server) probed() []metrics.Check {
	p := &s.measuring.probe
	p.mu.Lock()
	if p.found != nil && time.Since(p.at) < probeEvery {
		defer p.mu.Unlock()
		return p.found
	}
	if p.running == nil {
		done := make(chan struct{})
		p.running = done
		go func() {
			found := s.ask()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.found, p.at, p.running = found, time.Now(), nil
			close(done)
		}()
	}
	running := p.running
	p.mu.Unlock()
	patience := time.NewTimer(probePatience)
	defer patience.Stop()
	select {
	case <-running:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.found
	case <-patience.C:
		hangs := fmt.Sprintf("no answer within %v", probePatience)
		return []metrics.Check{{Name: checkStore, Problem: hangs}, {Name: checkDirectory, Problem: hangs}}
	}
}

// ask tries store and directory.
func (s *Server) ask() []metrics.Check {
	list := []metrics.Check{{Name: checkStore}, {Name: checkDirectory}}
	said := [2]string{}
	if err := s.measuring.office.store.writable(); err != nil {
		list[0].Problem, said[0] = "cannot be written to; the log says why", err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), probePatience)
	defer cancel()
	if _, err := s.measuring.office.directory.Get(ctx, probeUser); err != nil && !errors.Is(err, maildrop.ErrNoUser) {
		list[1].Problem, said[1] = "cannot look anybody up; the log says why", err.Error()
	}
	for i, before := range s.measuring.probe.said { // one probe runs at a time
		switch {
		case said[i] == before:
		case said[i] == "":
			s.log.Info("the " + list[i].Name + " is ready again")
		default:
			s.log.Warn("the "+list[i].Name+" is not ready", "error", said[i])
		}
	}
	s.measuring.probe.said = said
	return list
}

// writable writes a small file into the data directory, durably, and removes it,
// and looks whether the directory of the mail is there. Mail may be in trees
// where the server may write only further down.
func (s *store) writable() error {
	f, err := s.data.OpenFile(probeName, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("restanted looks whether it can write here\n"))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), s.data.Remove(probeName)); err != nil {
		return err
	}
	return statRoot(s.mail)
}

func statRoot(f fsx.FS) error {
	_, err := f.Space()
	return err
}
