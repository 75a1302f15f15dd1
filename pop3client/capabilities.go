// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"fmt"
	"os"

	"restante.example/pop3"
)

// Capabilities returns what the server announces in the present state: it asks
// once before TLS, once after STLS and once after sign-in, since the answers
// differ. RFC 2449 section 5.
//
// They are hints. A server that refuses CAPA announces nothing, which is nil
// without an error, and some servers have what they do not announce: UIDL and
// TOP are best found out by use. A server that does not answer within
// Options.CapaTimeout is ErrNoCapabilities, and the connection is given up.
// The map must not be changed.
func (c *Client) Capabilities(ctx context.Context) (pop3.Capabilities, error) {
	if c.capsKnown || c.opt.SkipCapabilities {
		return c.caps, nil
	}
	end, err := c.begin(ctx, c.state, "CAPA")
	if err != nil {
		return nil, err
	}
	defer end()
	caps, err := c.askCapabilities()
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", ErrNoCapabilities, err)
		}
		return nil, err
	}
	c.caps, c.capsKnown = caps, true
	return caps, nil
}

func (c *Client) askCapabilities() (pop3.Capabilities, error) {
	_, err := c.roundTrip("CAPA", "CAPA", "CAPA")
	if _, refused := errors.AsType[*pop3.Error](err); refused {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	caps := pop3.Capabilities{}
	for n := 0; ; n++ {
		row, more, err := c.row("CAPA")
		if err != nil || !more {
			return caps, err
		}
		if n == maxCapa {
			return nil, c.fail("CAPA", &LimitError{What: "list of capabilities", Limit: maxCapa})
		}
		c.traceReceived(string(row))
		caps.Add(string(row))
	}
}
