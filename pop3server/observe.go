// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"time"

	"restante.example/maildrop"
)

// Observer is told what happens, for measuring. A nil Observer, or one with nil
// functions, costs nothing. The functions are called by many goroutines while a
// client waits, so they are not to block.
type Observer struct {
	// SignIn is called at the end of each sign-in for which credentials came.
	SignIn func(SignInOutcome)
	// Retrieved is called after each RETR that sent a whole message.
	Retrieved func(Retrieval)
	// Removed is called after each QUIT that had messages to remove: how many
	// were removed, how many of them stayed, and how long the store took.
	Removed func(removed, stayed int, took time.Duration)
}

// SignInOutcome is how a sign-in ended. It names nobody.
type SignInOutcome struct {
	// Mechanism is "USER", "PLAIN" and so on.
	Mechanism string
	// TLS is the version, such as "TLS 1.3", or empty.
	TLS string
	// Refused is empty when a session began, else why not, as in the log:
	// "credentials", "guard", "in use" and so on, one of a few fixed words.
	Refused string
	// Took is the time from when the guard let the attempt pass to the answer;
	// 0 when it did not.
	Took time.Duration
}

// Retrieval is a message that was sent whole.
type Retrieval struct {
	// Opened is how long the store took until the message could be read, Took
	// the time from the command to the last octet on its way, in which the client
	// has part.
	Opened, Took time.Duration
}

// passed notes that the guard has let an attempt pass.
func (c *conn) passed() {
	if c.opt.Observer != nil && c.opt.Observer.SignIn != nil {
		c.signIn.passed = time.Now()
	}
}

// observeSignIn tells how a sign-in ended.
func (c *conn) observeSignIn(a maildrop.Attempt, refused string) {
	o := c.opt.Observer
	if o == nil || o.SignIn == nil {
		return
	}
	out := SignInOutcome{Mechanism: a.Mechanism, TLS: c.tlsVersion(), Refused: refused}
	if !c.signIn.passed.IsZero() {
		out.Took = time.Since(c.signIn.passed)
	}
	c.signIn.passed = time.Time{}
	o.SignIn(out)
}

// stopwatch measures the steps of a retrieval, where somebody wants to know.
type stopwatch struct {
	began  time.Time
	opened time.Duration
}

func (c *conn) startRetrieval() (w stopwatch) {
	if c.opt.Observer != nil && c.opt.Observer.Retrieved != nil {
		w.began = time.Now()
	}
	return w
}

func (w *stopwatch) open() {
	if !w.began.IsZero() {
		w.opened = time.Since(w.began)
	}
}

func (w *stopwatch) sent(c *conn) {
	if !w.began.IsZero() {
		c.opt.Observer.Retrieved(Retrieval{Opened: w.opened, Took: time.Since(w.began)})
	}
}

// observeRemoval tells of a QUIT that began then.
func (c *conn) observeRemoval(removed, stayed int, began time.Time) {
	if o := c.opt.Observer; o != nil && o.Removed != nil {
		o.Removed(removed, stayed, time.Since(began))
	}
}
