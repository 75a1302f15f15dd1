// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package control settles who works on a data directory. One process owns it,
// by a lock that ends with the process; the commands for users, deliveries and
// status ask that one over a socket that only its uid can open, and when no
// server runs they own the directory themselves for as long as they take.
//
// # The protocol
//
// One connection serves one request. Both sides send frames: a kind, a length
// of four octets (big-endian) and that many octets. The client sends the
// request (kind 'q', JSON) and then, for an operation that takes a message,
// its octets (kind 'd') and their end (kind 'e'); the server answers with one
// reply (kind 'r', JSON), which may come before the client is through. A
// connection that ends before its 'e' has brought no whole message.
package control

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Version is that of the protocol. A request of another one is refused.
const Version = 1

// Limits in octets.
const (
	maxRequest = 1 << 20  // a request, arguments included
	maxReply   = 64 << 20 // a reply: a list of all users is one
	maxData    = 64 << 10 // one piece of a message
)

const (
	kindRequest = 'q'
	kindData    = 'd'
	kindEnd     = 'e'
	kindReply   = 'r'
)

// Error is a refusal that the caller can tell from others by its code.
type Error struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Codes of this package; operations have their own.
const (
	// CodeUnknown: the server does not know the operation or the version.
	CodeUnknown = "unknown-operation"
	// CodeArguments: the arguments cannot be understood.
	CodeArguments = "bad-arguments"
	// CodeFailed: the operation failed for a reason that only its text tells.
	CodeFailed = "failed"
)

func (e *Error) Error() string { return e.Text }

// HasCode reports whether err is, or wraps, an Error of that code.
func HasCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// Caller asks for operations. A Caller may be used by any number of goroutines.
type Caller interface {
	// Call asks for op with args, sends what body gives (nil for operations
	// that take none), and puts the answer into result unless that is nil.
	// An *Error is the refusal; every other error means that it is not known
	// whether the operation was done.
	Call(ctx context.Context, op string, args any, body io.Reader, result any) error
}

// Handler does one operation. Body is empty when the caller sends none.
type Handler func(ctx context.Context, args json.RawMessage, body io.Reader) (any, error)

// Mux has the operations by name. As a Caller it does them in this process.
type Mux map[string]Handler

// Handle adds an operation whose arguments and answer are Go types.
func Handle[A, R any](m Mux, op string, f func(ctx context.Context, args A, body io.Reader) (R, error)) {
	m[op] = func(ctx context.Context, raw json.RawMessage, body io.Reader) (any, error) {
		var args A
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, &Error{CodeArguments, fmt.Sprintf("arguments of %s: %v", op, err)}
		}
		return f(ctx, args, body)
	}
}

type request struct {
	Version int             `json:"version"`
	Op      string          `json:"op"`
	Args    json.RawMessage `json:"args"`
	Body    bool            `json:"body,omitempty"`
}

type reply struct {
	Error  *Error          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// do runs a request and makes its reply.
func (m Mux) do(ctx context.Context, q request, body io.Reader) reply {
	h := m[q.Op]
	if q.Version != Version || h == nil {
		return reply{Error: &Error{CodeUnknown, fmt.Sprintf(
			"the running server does not know the operation %q of version %d: it is of another version than this command; restart it", q.Op, q.Version)}}
	}
	result, err := h(ctx, q.Args, body)
	var raw json.RawMessage
	if err == nil {
		raw, err = json.Marshal(result)
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{CodeFailed, err.Error()}
		}
		return reply{Error: e}
	}
	return reply{Result: raw}
}

// Call does the operation in this process, through the same encoding as over
// the socket, so that both ways cannot differ.
func (m Mux) Call(ctx context.Context, op string, args any, body io.Reader, result any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	if body == nil {
		body = eofReader{}
	}
	return m.do(ctx, request{Version: Version, Op: op, Args: raw}, body).into(result)
}

// into gives the refusal, or the answer.
func (r reply) into(result any) error {
	if r.Error != nil {
		return r.Error
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(r.Result, result); err != nil {
		return fmt.Errorf("the reply cannot be understood: %w", err)
	}
	return nil
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// writeFrame sends one frame in one write.
func writeFrame(w io.Writer, kind byte, payload []byte) error {
	frame := make([]byte, 5, 5+len(payload))
	frame[0] = kind
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// readHead reads what stands before the payload of a frame.
func readHead(r io.Reader) (kind byte, length int64, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	return head[0], int64(binary.BigEndian.Uint32(head[1:])), nil
}

// readJSON reads a frame of the kind given into v.
func readJSON(r io.Reader, kind byte, limit int64, v any) error {
	got, length, err := readHead(r)
	if err != nil {
		return err
	}
	if got != kind || length > limit {
		return fmt.Errorf("a frame of kind %q with %d octets where %q was due", got, length, kind)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return unexpected(err)
	}
	return json.Unmarshal(payload, v)
}

func writeJSON(w io.Writer, kind byte, limit int, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(payload) > limit {
		return fmt.Errorf("%d octets are more than the %d that the control socket takes at once", len(payload), limit)
	}
	return writeFrame(w, kind, payload)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bodyReader gives the octets of a message out of its frames. Its end is
// io.EOF only where the client said that this is the end.
type bodyReader struct {
	r    io.Reader
	left int64
	err  error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	for b.left == 0 && b.err == nil {
		kind, length, err := readHead(b.r)
		switch {
		case err != nil:
			b.err = unexpected(err)
		case kind == kindEnd && length == 0:
			b.err = io.EOF
		case kind != kindData || length > maxData:
			b.err = fmt.Errorf("a frame of kind %q with %d octets inside a message", kind, length)
		default:
			b.left = length
		}
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil {
		b.err = unexpected(err)
	}
	return n, b.err
}
