// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// The models below are the definitions, written for clarity and sharing
// nothing with the code under test.

var bareLF = regexp.MustCompile(`(^|[^\r])\n`)

func modelNormal(in string) string {
	for bareLF.MatchString(in) {
		in = bareLF.ReplaceAllString(in, "$1\r\n")
	}
	if in != "" && !strings.HasSuffix(in, "\r\n") {
		in += "\r\n"
	}
	return in
}

func modelStuff(wire string) string {
	lines := strings.SplitAfter(wire, "\r\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = "." + l
		}
	}
	return strings.Join(lines, "")
}

var nasty = []string{
	"", "\n", "\r", "\r\n", ".", ".\r\n", "..\r\n", ".\n", "\n.\n", "a\n.\nb", "a\r\n.\r\nb\r\n",
	"no final newline", "lone\rcr\r", "a\r\r\nb", "\r\n.\r", "x\r\n.y\r\n..z\r\n...", "nul\x00 and \xff\n",
	strings.Repeat("x", 70_000), strings.Repeat(".\r\n", 30_000), strings.Repeat("a\n.", 20_000),
	strings.Repeat("\r", 5000) + "\n", strings.Repeat("a\r\n", 700) + ".tail",
}

// readers gives the same octets in pieces of every awkward kind.
func readers(s string) map[string]io.Reader {
	rng := rand.New(rand.NewPCG(1, uint64(len(s))))
	return map[string]io.Reader{
		"whole":       strings.NewReader(s),
		"single":      iotest.OneByteReader(strings.NewReader(s)),
		"with EOF":    iotest.DataErrReader(strings.NewReader(s)),
		"odd lengths": &oddReader{strings.NewReader(s), rng},
	}
}

type oddReader struct {
	r   io.Reader
	rng *rand.Rand
}

func (o *oddReader) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1+o.rng.IntN(7))]) }

func TestNormalReader(t *testing.T) {
	for _, in := range nasty {
		want := modelNormal(in)
		for name, r := range readers(in) {
			got, err := io.ReadAll(NewNormalReader(r, make([]byte, 512), nil))
			if err != nil || string(got) != want {
				t.Errorf("%s: %.40q: got %.60q, %v; want %.60q", name, in, got, err, want)
			}
		}
		for _, size := range []int{1, 2*direct + 1, 2*direct + 2, 9999, 200_000} {
			for name, r := range readers(in) {
				var got []byte
				reader, piece := NewNormalReader(r, make([]byte, 16<<10), nil), make([]byte, size, size+10)
				for err := error(nil); err == nil; {
					var n int
					n, err = reader.Read(piece)
					if got = append(got, piece[:n]...); err != nil && err != io.EOF {
						t.Fatal(err)
					}
				}
				if string(got) != want {
					t.Errorf("%s, by %d: %.40q: got %.60q, want %.60q", name, size, in, got, want)
				}
			}
		}
	}
}

func stuffed(t *testing.T, text string, with func(*Writer)) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, NewGrowingPool(1, 5000, len(text)%2))
	w.BeginText()
	with(w)
	w.EndText()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTextIsStuffed(t *testing.T) {
	for _, in := range nasty {
		text := modelNormal(in)
		want := modelStuff(text) + ".\r\n"
		for name, r := range readers(text) {
			got := stuffed(t, text, func(w *Writer) {
				if n, err := w.TextFrom(r); err != nil || n != int64(len(text)) {
					t.Errorf("TextFrom: %d, %v", n, err)
				}
			})
			if got != want {
				t.Errorf("TextFrom, %s: %.40q: got %.60q, want %.60q", name, in, got, want)
			}
		}
		for size := 1; size < 5; size++ {
			got := stuffed(t, text, func(w *Writer) {
				for i := 0; i < len(text); i += size {
					w.Text([]byte(text[i:min(i+size, len(text))]))
				}
			})
			if got != want {
				t.Errorf("Text by %d: %.40q: got %.60q, want %.60q", size, in, got, want)
			}
		}
	}
}

func TestDotReader(t *testing.T) {
	const next = "+OK next reply\r\n"
	for _, in := range nasty {
		text := modelNormal(in)
		for name, src := range readers(modelStuff(text) + ".\r\n" + next) {
			for _, size := range []int{16, 4096} {
				r := NewReader(src, size)
				got, err := io.ReadAll(NewDotReader(r))
				if err != nil || string(got) != text {
					t.Errorf("%s: %.40q: got %.60q, %v", name, text, got, err)
				}
				line, err := r.ReadLine(512)
				if err != nil || string(line)+"\r\n" != next {
					t.Errorf("%s: %.40q: behind it came %q, %v", name, text, line, err)
				}
				break // a source can be read once
			}
		}
	}
}

func TestDotReaderEndsOnlyAtItsEnd(t *testing.T) {
	for _, in := range []string{"", "a", "a\r\n", "a\r\n.", "a\r\n.\r", "a\n.\n", ".\n", "a\r.\r\n", ".\r", "a\r\n.\n"} {
		got, err := io.ReadAll(NewDotReader(NewReader(strings.NewReader(in), 16)))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: read %q and ended with %v, want an unexpected end", in, got, err)
		}
	}
}

// writes notes every write as a piece of its own.
type writes struct{ pieces []string }

func (w *writes) Write(p []byte) (int, error) {
	w.pieces = append(w.pieces, string(p))
	return len(p), nil
}

func TestEndOfTextIsOneWrite(t *testing.T) {
	for n := 3400; n < 4300; n++ {
		var out writes
		w := NewWriter(&out, NewPool(4096))
		w.WriteString("+OK\r\n")
		w.BeginText()
		if _, err := w.TextFrom(strings.NewReader(strings.Repeat("x", n) + "\r\n")); err != nil {
			t.Fatal(err)
		}
		w.EndText()
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if last := out.pieces[len(out.pieces)-1]; !strings.HasSuffix(last, "\r\n.\r\n") {
			t.Fatalf("%d octets: the last write is %q", n, last)
		}
		if n < 3500 && len(out.pieces) != 1 {
			t.Fatalf("%d octets went out in %d writes", n, len(out.pieces))
		}
	}
}

func TestTruncateTakesAnAnswerBack(t *testing.T) {
	var out writes
	w := NewWriter(&out, NewPool(4096))
	w.WriteString("+OK first\r\n")
	n, sent := w.Buffered(), w.Sent()
	w.WriteString("+OK message follows\r\n")
	if _, err := w.TextFrom(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc")))); err == nil {
		t.Fatal("the reader's error was lost")
	}
	if !w.Truncate(n, sent) {
		t.Fatal("nothing was sent, but it cannot be taken back")
	}
	w.WriteString("-ERR\r\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(out.pieces, ""); got != "+OK first\r\n-ERR\r\n" {
		t.Fatalf("got %q", got)
	}
	w.WriteString(strings.Repeat("x", 10_000))
	if w.Truncate(0, sent) {
		t.Fatal("octets that are on their way were taken back")
	}
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 300)
	in := "USER a\r\nbare\n" + long + "\r\nPASS\r\n" + strings.Repeat("y", 253) + "\r\n" + strings.Repeat("z", 254) + "\r\n\r\na\rb\r\nrest"
	for name, src := range readers(in) {
		r := NewReader(src, 16)
		for _, want := range []string{"USER a", "bare", "", "PASS", strings.Repeat("y", 253), "", "", "a\rb"} {
			got, err := r.ReadLine(255)
			if want == "" && err != nil {
				if !errors.Is(err, ErrLineTooLong) {
					t.Fatalf("%s: %v", name, err)
				}
				continue
			}
			if err != nil || string(got) != want {
				t.Fatalf("%s: got %q, %v; want %q", name, got, err, want)
			}
		}
		if got, err := r.ReadLine(255); err != io.ErrUnexpectedEOF {
			t.Fatalf("%s: half a line: %q, %v", name, got, err)
		}
	}
	if _, err := NewReader(strings.NewReader(""), 16).ReadLine(255); err != io.EOF {
		t.Fatalf("the end: %v", err)
	}
	endless := NewReader(iotest.DataErrReader(endlessReader{}), 16)
	if _, err := endless.ReadLine(255); !errors.Is(err, ErrLineEndless) {
		t.Fatalf("an endless line: %v", err)
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestReaderGivesTheLargeBufferBack(t *testing.T) {
	r := NewReader(strings.NewReader(strings.Repeat("t", 16_000)+"\r\nQUIT\r\n"), 64)
	if line, err := r.ReadLine(16 << 10); err != nil || len(line) != 16_000 {
		t.Fatalf("%d octets, %v", len(line), err)
	}
	for {
		if _, err := r.ReadLine(255); err != nil {
			break
		}
	}
	if len(r.buf) != 64 {
		t.Fatalf("the buffer has %d octets, want 64", len(r.buf))
	}
}

func TestResetDropsWhatWasReceived(t *testing.T) {
	r := NewReader(strings.NewReader("STLS\r\nUSER injected\r\n"), 64)
	if _, err := r.ReadLine(255); err != nil {
		t.Fatal(err)
	}
	r.Reset(strings.NewReader("USER real\r\n"))
	if line, err := r.ReadLine(255); err != nil || string(line) != "USER real" {
		t.Fatalf("got %q, %v", line, err)
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, in := range nasty {
		if len(in) < 100 {
			f.Add([]byte(in), uint16(16))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		text := modelNormal(string(in))
		got, err := io.ReadAll(NewNormalReader(bytes.NewReader(in), make([]byte, 512), nil))
		if err != nil || string(got) != text {
			t.Fatalf("wire form of %q is %q, %v", in, got, err)
		}
		var out bytes.Buffer
		w := NewWriter(&out, NewPool(1024))
		w.BeginText()
		if _, err := w.TextFrom(bytes.NewReader(got)); err != nil {
			t.Fatal(err)
		}
		w.EndText()
		if err := w.Flush(); err != nil || out.String() != modelStuff(text)+".\r\n" {
			t.Fatalf("stuffed form of %q is %q, %v", text, out.String(), err)
		}
		r := NewReader(&out, int(size%5000))
		back, err := io.ReadAll(NewDotReader(r))
		if err != nil || string(back) != text || r.Buffered() != 0 {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
	})
}

func FuzzDotReader(f *testing.F) {
	f.Add([]byte("a\r\n..b\r\n.\r\n"))
	f.Add([]byte(".\n.\r\n.\r"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := io.ReadAll(NewDotReader(NewReader(bytes.NewReader(in), 4096)))
		single, err1 := io.ReadAll(NewDotReader(NewReader(iotest.OneByteReader(bytes.NewReader(in)), 16)))
		if !bytes.Equal(whole, single) || err != err1 {
			t.Fatalf("pieces matter: %q %v, %q %v", whole, err, single, err1)
		}
		ended := bytes.HasPrefix(in, []byte(".\r\n")) || bytes.Contains(in, []byte("\r\n.\r\n"))
		if ended != (err == nil) {
			t.Fatalf("%q: ended %v, err %v", in, ended, err)
		}
	})
}

func benchText() []byte {
	return bytes.Repeat([]byte(strings.Repeat("m", 74)+"\r\n"), 1<<20/76)
}

func BenchmarkTextFrom(b *testing.B) {
	text, pool := benchText(), NewPool(64<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w := NewWriter(io.Discard, pool)
		w.BeginText()
		_, _ = w.TextFrom(bytes.NewReader(text))
		w.EndText()
		_ = w.Flush()
	}
}

func BenchmarkDotReader(b *testing.B) {
	text := append(benchText(), ".\r\n"...)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{NewDotReader(NewReader(bytes.NewReader(text), 64<<10))})
	}
}

func BenchmarkNormalizer(b *testing.B) {
	text := bytes.ReplaceAll(benchText(), []byte("\r\n"), []byte("\n"))
	b.SetBytes(int64(len(text)))
	var out []byte
	for b.Loop() {
		var z Normalizer
		out = z.Append(out[:0], text)
	}
}
