// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"restante.example/collect"
	"restante.example/internal/accounts"
	"restante.example/internal/fsx"
	"restante.example/pop3"
)

// Status is how an account is.
type Status struct {
	Account     string    `json:"account"`
	Server      string    `json:"server"`
	User        string    `json:"user"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	// NextPoll is set while restante run is up.
	NextPoll time.Time `json:"next_poll,omitzero"`
	// Waiting says what restante run waits for: "password" or "".
	Waiting string `json:"waiting,omitempty"`
	// Of the last attempt, in messages and octets.
	Offered int   `json:"offered"`
	Filed   int   `json:"filed"`
	Octets  int64 `json:"octets"`
	Deleted int   `json:"deleted"`
	Left    int   `json:"left"`
	// Total is how many messages were filed in all.
	Total int64 `json:"total"`
	// Error is the last error in plain words, empty after a success.
	Error    string   `json:"error,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// Words is the text of an error in one line, fit for a terminal. Errors that were
// joined have a line each.
func Words(err error) string {
	return pop3.Printable(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// note brings the status up to date after an attempt.
func (c *Collector) note(a *accounts.Account, r *collect.Report, failed error) error {
	return c.change(a, func(s *Status) {
		s.LastAttempt = c.Now()
		s.Offered, s.Filed, s.Octets, s.Deleted, s.Left = r.Offered, r.Filed, r.FiledOctets, r.Deleted, r.Left
		s.Total += int64(r.Filed)
		s.Error, s.Problems = "", nil
		for _, p := range r.Problems {
			s.Problems = append(s.Problems, Words(p.Err))
			if len(s.Problems) == 10 {
				break
			}
		}
		switch {
		case failed != nil:
			s.Error = Words(failed)
		case r.Complete():
			s.LastSuccess = s.LastAttempt
		}
	})
}

// noteInterrupted counts what was filed before somebody stopped the attempt. The
// rest stays as it was: to be stopped says nothing about the account.
func (c *Collector) noteInterrupted(a *accounts.Account, r *collect.Report, _ error) error {
	return c.change(a, func(s *Status) { s.Total += int64(r.Filed) })
}

// change reads, changes and writes the status of an account.
func (c *Collector) change(a *accounts.Account, change func(*Status)) error {
	s, err := ReadStatus(c.State, a)
	if err != nil {
		return err
	}
	total := s.Total
	change(&s)
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return err
	}
	dir, err := fsx.Dir(c.State)
	if err != nil {
		return err
	}
	name := filepath.Base(a.StatusFile(c.State))
	if s.Total != total {
		_, err = fsx.WriteFileSynced(dir, name, data)
	} else {
		err = replace(dir, name, data) // a poll without mail pays for no flush
	}
	return errors.Join(err, dir.Close())
}

// replace writes a file anew, so that after a power cut it may be empty: a
// status is only a report.
func replace(dir fsx.FS, name string, data []byte) error {
	temp := name + ".new"
	if err := dir.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := fsx.Create(dir, temp)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return dir.Rename(temp, name)
}

// ReadStatus returns the status of an account, an empty one before its first attempt.
func ReadStatus(state string, a *accounts.Account) (Status, error) {
	s := Status{}
	data, err := os.ReadFile(a.StatusFile(state))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err == nil {
		if err := json.Unmarshal(data, &s); err != nil {
			s = Status{} // it is only a report: the next attempt writes a new one
		}
	}
	s.Account, s.Server, s.User = a.Name, a.Address(), a.User
	return s, nil
}
