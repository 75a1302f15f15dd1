// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"fmt"
	"io"

	"restante.example/pop3"
)

// Event is a line of the conversation.
type Event struct {
	// Sent is true for what the client sent.
	Sent bool
	// Text is the line, fit for a terminal: secrets are replaced by "****",
	// and the text of messages and listings by its length.
	Text string
}

// TraceTo returns a function for Options.Trace that writes each event as a
// line behind "C: " or "S: ". Errors of the writer are passed over: a trace
// must not stop mail.
func TraceTo(w io.Writer) func(Event) {
	return func(e Event) {
		side := "S: "
		if e.Sent {
			side = "C: "
		}
		_, _ = io.WriteString(w, side+e.Text+"\n")
	}
}

const masked = "****"

func (c *Client) traceSent(text string) {
	if c.opt.Trace != nil {
		c.opt.Trace(Event{Sent: true, Text: pop3.Printable(text)})
	}
}

func (c *Client) traceReceived(text string) {
	if c.opt.Trace != nil {
		c.opt.Trace(Event{Text: pop3.Printable(text)})
	}
}

// traceText tells the length of what is not shown.
func (c *Client) traceText(amount int64, unit string) {
	if c.opt.Trace != nil {
		c.opt.Trace(Event{Text: fmt.Sprintf("(%d %s)", amount, unit)})
	}
}
