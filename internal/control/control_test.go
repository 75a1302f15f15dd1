// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
)

type echoArgs struct{ Words []string }

type echoResult struct {
	Words  []string
	Octets int
}

func testMux() Mux {
	m := Mux{}
	Handle(m, "echo", func(_ context.Context, a echoArgs, body io.Reader) (echoResult, error) {
		data, err := io.ReadAll(body)
		return echoResult{a.Words, len(data)}, err
	})
	Handle(m, "refuse", func(context.Context, struct{}, io.Reader) (any, error) {
		return nil, &Error{"no-user", "no such user: ana"}
	})
	Handle(m, "break", func(context.Context, struct{}, io.Reader) (any, error) {
		return nil, errors.New("the disk is on fire")
	})
	Handle(m, "panic", func(context.Context, struct{}, io.Reader) (any, error) {
		panic("no way")
	})
	return m
}

// serve runs a server on a directory with a path too long for a socket. The log
// may be looked at after stop.
func serve(t *testing.T) (dir string, logged *bytes.Buffer, stop func()) {
	t.Helper()
	return serveWith(t, func(*Server) {})
}

// serveWith does so after change has had its way with the server.
func serveWith(t *testing.T, change func(*Server)) (dir string, logged *bytes.Buffer, stop func()) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), strings.Repeat("long-", 20), strings.Repeat("long-", 20))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	logged = new(bytes.Buffer)
	s, err := Listen(dir, testMux(), slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, SocketName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket stayed: %v", err)
		}
	})
	t.Cleanup(stop)
	return dir, logged, stop
}

func TestCalls(t *testing.T) {
	dir, _, _ := serve(t)
	info, err := os.Lstat(filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v", info.Mode())
	}
	for name, c := range map[string]Caller{"socket": NewClient(dir), "here": testMux()} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			var got echoResult
			body := strings.NewReader(strings.Repeat("x", 300_000))
			if err := c.Call(ctx, "echo", echoArgs{[]string{"a", "b"}}, body, &got); err != nil {
				t.Fatal(err)
			}
			if strings.Join(got.Words, " ") != "a b" || got.Octets != 300_000 {
				t.Errorf("got %+v", got)
			}
			if err := c.Call(ctx, "echo", echoArgs{}, nil, &got); err != nil || got.Octets != 0 {
				t.Errorf("without a body: %+v, %v", got, err)
			}
			if err := c.Call(ctx, "refuse", struct{}{}, nil, nil); !HasCode(err, "no-user") || err.Error() != "no such user: ana" {
				t.Errorf("refusal: %v", err)
			}
			// The answer comes while the message is still on its way.
			if err := c.Call(ctx, "refuse", struct{}{}, strings.NewReader(strings.Repeat("x", 3<<20)), nil); !HasCode(err, "no-user") {
				t.Errorf("early refusal: %v", err)
			}
			if err := c.Call(ctx, "break", struct{}{}, nil, nil); !HasCode(err, CodeFailed) || !strings.Contains(err.Error(), "on fire") {
				t.Errorf("failure: %v", err)
			}
			if err := c.Call(ctx, "nothing", struct{}{}, nil, nil); !HasCode(err, CodeUnknown) {
				t.Errorf("unknown operation: %v", err)
			}
			if err := c.Call(ctx, "echo", "a string", nil, nil); !HasCode(err, CodeArguments) {
				t.Errorf("wrong arguments: %v", err)
			}
		})
	}
}

// A message that breaks off must not look whole to the handler.
// fewFiles is a listener that has no descriptor for some connections.
type fewFiles struct {
	net.Listener
	failures atomic.Int32
}

func (l *fewFiles) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// TestNoDescriptorsLeft: that passes, and must not end the server of mail.
func TestNoDescriptorsLeft(t *testing.T) {
	dir, logged, stop := serveWith(t, func(s *Server) {
		few := &fewFiles{Listener: s.listener}
		few.failures.Store(3)
		s.listener = few
	})
	var got echoResult
	if err := NewClient(dir).Call(context.Background(), "echo", echoArgs{}, nil, &got); err != nil {
		t.Fatal(err)
	}
	stop()
	if n := strings.Count(logged.String(), "trying again"); n != 3 {
		t.Errorf("%d failures were logged, want 3:\n%s", n, logged)
	}
}

func TestBrokenBody(t *testing.T) {
	dir, _, _ := serve(t)
	broken := io.MultiReader(strings.NewReader("half a mess"), iotest.ErrReader(errors.New("the pipe broke")))
	err := NewClient(dir).Call(context.Background(), "echo", echoArgs{}, broken, nil)
	if err == nil || !strings.Contains(err.Error(), "the pipe broke") {
		t.Fatalf("the caller saw %v", err)
	}
	for _, frames := range []string{
		"",                        // no end
		"d\x00\x00\x00\x05abc",    // torn inside
		"x\x00\x00\x00\x00",       // no such kind
		"d\x00\x02\x00\x00",       // too large
		"e\x00\x00\x00\x01x",      // an end with something in it
		"d\x00\x00\x00\x01ad\x00", // torn head
	} {
		data, err := io.ReadAll(&bodyReader{r: strings.NewReader(frames)})
		if err == nil {
			t.Errorf("%q gave a whole message: %q", frames, data)
		}
	}
	if data, err := io.ReadAll(&bodyReader{r: strings.NewReader("d\x00\x00\x00\x02abd\x00\x00\x00\x00d\x00\x00\x00\x01ce\x00\x00\x00\x00")}); err != nil || string(data) != "abc" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestHostileRequests(t *testing.T) {
	dir, logged, stop := serve(t)
	short, release, err := ShortPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	other, err := json.Marshal(request{Version: 99, Op: "echo", Args: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want string }{
		{"q\xff\xff\xff\xff", ""},
		{"r\x00\x00\x00\x02{}", ""},
		{"q\x00\x00\x00\x02{", ""},
		{"q\x00\x00\x00" + string(rune(len(other))) + string(other), "another version"},
	} {
		conn, err := net.Dial("unix", filepath.Join(short, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.in); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(conn) // a reset is as good as an end here
		if c.want == "" && len(got) > 0 || !strings.Contains(string(got), c.want) {
			t.Errorf("%q was answered with %q", c.in, got)
		}
		_ = conn.Close()
	}
	if err := NewClient(dir).Call(context.Background(), "panic", struct{}{}, nil, nil); err == nil {
		t.Error("a panic counted as success")
	}
	if err := NewClient(dir).Call(context.Background(), "echo", echoArgs{}, nil, nil); err != nil {
		t.Errorf("the server did not live on: %v", err)
	}
	stop()
	if !strings.Contains(logged.String(), "no way") {
		t.Errorf("the panic was not logged: %s", logged)
	}
}

func TestOneOwner(t *testing.T) {
	dir := t.TempDir()
	first, err := Own(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Own(dir); !errors.Is(err, ErrOwned) {
		t.Fatalf("a second owner: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Await(cancelled, dir); !errors.Is(err, ErrOwned) {
		t.Fatalf("Await: %v", err)
	}
	// An owner that is soon done is waited for.
	got := make(chan error)
	go func() {
		o, err := Await(context.Background(), dir)
		if err == nil {
			err = o.Release()
		}
		got <- err
	}()
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestReach(t *testing.T) {
	ctx := context.Background()
	opened := 0
	open := func() (Caller, io.Closer, error) {
		opened++
		return testMux(), io.NopCloser(nil), nil
	}
	dir := t.TempDir()
	c, closer, err := Reach(ctx, dir, open)
	if err != nil || opened != 1 {
		t.Fatalf("%v, opened %d times", err, opened)
	}
	if err := c.Call(ctx, "echo", echoArgs{}, nil, nil); err != nil {
		t.Error(err)
	}
	if _, err := Own(dir); !errors.Is(err, ErrOwned) {
		t.Errorf("the directory was worked on without its lock: %v", err)
	}
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}

	dir, _, _ = serve(t)
	if _, closer, err = Reach(ctx, dir, open); err != nil || opened != 1 {
		t.Fatalf("with a server running: %v, opened %d times", err, opened)
	}
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}

	// What a killed server left does not stop anybody.
	dir = t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, SocketName)})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, closer, err = Reach(ctx, dir, open); err != nil || opened != 2 {
		t.Fatalf("with a stale socket: %v, opened %d times", err, opened)
	}
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever arrives, a message is whole only when its end was said.
func FuzzBody(f *testing.F) {
	f.Add([]byte("d\x00\x00\x00\x02abe\x00\x00\x00\x00"))
	f.Add([]byte("d\x00\x00\x00\x05abc"))
	f.Add([]byte("e\x00\x00\x00\x00rest"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := io.ReadAll(&bodyReader{r: bytes.NewReader(in)})
		single, err1 := io.ReadAll(&bodyReader{r: iotest.OneByteReader(bytes.NewReader(in))})
		if !bytes.Equal(whole, single) || (err == nil) != (err1 == nil) {
			t.Fatalf("pieces matter: %q %v, %q %v", whole, err, single, err1)
		}
		var want []byte
		rest, ended := in, false
		for len(rest) >= 5 && !ended {
			n := int(rest[1])<<24 | int(rest[2])<<16 | int(rest[3])<<8 | int(rest[4])
			ended = rest[0] == 'e' && n == 0
			if rest[0] != 'd' || n > maxData || len(rest) < 5+n {
				break
			}
			want, rest = append(want, rest[5:5+n]...), rest[5+n:]
		}
		if ended != (err == nil) || ended && !bytes.Equal(whole, want) {
			t.Fatalf("%q gave %q, %v; want %q, ended %v", in, whole, err, want, ended)
		}
	})
}
