// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"restante.example/internal/wire"
	"restante.example/pop3"
)

// Row is a row of LIST or UIDL, as the server sent it: rows may be missing,
// come twice or out of order.
type Row struct {
	// Number is the message number; 0 where the row had none or was longer
	// than 8 KiB: there is nothing to be done with such a row.
	Number int
	// Size is the size in octets that LIST gave, a hint only; -1 where it is
	// missing, negative or no number.
	Size int64
	// UID is the unique id that UIDL gave, without blanks around it. It may be
	// empty or longer than 70 octets, and hold blanks, controls and 8-bit octets.
	UID string
}

// List streams the numbers and sizes of all messages, with one LIST command
// for each time it is ranged over. An error ends the sequence; a *pop3.Error
// says that the server refused. What is left when the caller breaks off is
// read and dropped, up to 8 MiB. RFC 1939 section 5.
func (c *Client) List(ctx context.Context) iter.Seq2[Row, error] {
	return c.listing(ctx, "LIST", parseListRow)
}

// UIDL streams the numbers and unique ids of all messages, as List does. It is
// optional: a *pop3.Error means mostly that the server has none. RFC 1939
// section 7.
func (c *Client) UIDL(ctx context.Context) iter.Seq2[Row, error] {
	return c.listing(ctx, "UIDL", parseUIDLRow)
}

// ListOne returns the row of one message.
func (c *Client) ListOne(ctx context.Context, n int) (Row, error) {
	return c.one(ctx, "LIST", n, parseListRow)
}

// UIDLOne returns the row of one message, to make sure that a number still
// means what it meant in another listing.
func (c *Client) UIDLOne(ctx context.Context, n int) (Row, error) {
	return c.one(ctx, "UIDL", n, parseUIDLRow)
}

func (c *Client) one(ctx context.Context, command string, n int, parse func([]byte) Row) (Row, error) {
	status, err := c.ask(ctx, pop3.Transaction, command, strconv.Itoa(n))
	if err != nil {
		return Row{}, err
	}
	row := parse([]byte(status.Text))
	if row.Number != n {
		return Row{}, fmt.Errorf("pop3client: %s: %w", command, &ProtocolError{Command: command, Line: shown(status.Text)})
	}
	return row, nil
}

// Stat returns the number of messages in the maildrop and their octets, each
// -1 where the server's number was not understood. RFC 1939 section 5.
func (c *Client) Stat(ctx context.Context) (messages int, octets int64, err error) {
	status, err := c.ask(ctx, pop3.Transaction, "STAT")
	if err != nil {
		return 0, 0, err
	}
	words := append(strings.Fields(status.Text), "", "")
	messages = -1
	if n, err := strconv.ParseUint(words[0], 10, 31); err == nil {
		messages = int(n)
	}
	return messages, parseSize([]byte(words[1])), nil
}

// listing asks for a multi-line reply and yields its rows.
func (c *Client) listing(ctx context.Context, command string, parse func([]byte) Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		end, err := c.begin(ctx, pop3.Transaction, command)
		if err != nil {
			yield(Row{}, err)
			return
		}
		// The caller may go on with other commands as soon as it has the last
		// row or an error, and not before.
		if err := c.yieldRows(command, parse, yield); err != nil {
			end()
			yield(Row{}, err)
			return
		}
		end()
	}
}

// yieldRows returns the error that is still to be yielded.
func (c *Client) yieldRows(command string, parse func([]byte) Row, yield func(Row, error) bool) error {
	if _, err := c.roundTrip(command, command, command); err != nil {
		return err
	}
	whole, wanted := false, true
	defer func() {
		if !whole && c.Err() == nil { // the caller's loop has panicked
			_ = c.fail(command, errAbandoned)
		}
	}()
	drainFrom := int64(0)
	c.conn.startText()
	for n := 0; ; n++ {
		row, more, err := c.row(command)
		if err != nil {
			return keepIf(wanted, err)
		}
		if !more {
			whole = true
			c.traceText(int64(n), "rows")
			return nil
		}
		if n == c.opt.MaxRows {
			return keepIf(wanted, c.fail(command, &LimitError{What: "listing", Limit: int64(n)}))
		}
		switch {
		case wanted:
			if wanted = yield(parse(row), nil); !wanted {
				drainFrom = c.r.Received()
			}
		case c.r.Received()-drainFrom > maxDrain:
			_ = c.fail(command, errAbandoned) // nobody is left to be told
			return nil
		}
	}
}

// errAbandoned: what the caller did not want was too much to be passed over.
var errAbandoned = errors.New("abandoned in the middle of a reply")

// keepIf returns err if somebody is left to whom it can be told; Err keeps it
// in any case.
func keepIf(wanted bool, err error) error {
	if wanted {
		return err
	}
	return nil
}

// row reads a row of a multi-line reply; more is false at its end. A row that
// is too long comes back empty. The octets are valid until the next call.
func (c *Client) row(command string) (row []byte, more bool, err error) {
	line, err := c.r.ReadLine(maxRow)
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		return nil, true, nil
	case err != nil:
		return nil, false, c.fail(command, explainLine("row", maxRow, err))
	case len(line) == 1 && line[0] == '.':
		return nil, false, nil
	}
	// RFC 1939 section 3.
	return bytes.TrimPrefix(line, []byte{'.'}), true, nil
}

// cutNumber takes the message number off the front of a row.
func cutNumber(row []byte) (n int, rest []byte) {
	row = bytes.Trim(row, " \t")
	i := bytes.IndexAny(row, " \t")
	if i < 0 {
		i = len(row)
	}
	for _, c := range row[:i] {
		if c < '0' || c > '9' || i > 9 {
			return 0, nil
		}
		n = n*10 + int(c-'0')
	}
	return n, bytes.TrimLeft(row[i:], " \t")
}

// parseListRow takes "number size", with anything behind it. RFC 1939
// section 5, scan listing.
func parseListRow(row []byte) Row {
	n, rest := cutNumber(row)
	if i := bytes.IndexAny(rest, " \t"); i >= 0 {
		rest = rest[:i]
	}
	return Row{Number: n, Size: parseSize(rest)}
}

// parseUIDLRow takes "number uid"; blanks inside the id belong to it.
func parseUIDLRow(row []byte) Row {
	n, rest := cutNumber(row)
	return Row{Number: n, Size: -1, UID: string(rest)}
}

// parseSize returns -1 for what is no size.
func parseSize(digits []byte) int64 {
	if len(digits) == 0 || len(digits) > 18 {
		return -1
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
