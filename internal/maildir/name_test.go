// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"strings"
	"testing"
	"time"

	"restante.example/pop3"
)

func TestNames(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 2, 3, 4567000, time.UTC)
	b := newName(at, 4194304, 999999999999, 0xdeadbeef, hostPart("a-very-long-name-of-a-host.example.org"))
	if !validUID(b) {
		t.Errorf("%q (%d) is not a UID", b, len(b))
	}
	name := fullName(b, 123, 0xabc, true)
	f := parseName(name + ":2,RS")
	if !f.own || f.s != 123 || f.w != 123 || f.crc != 0xabc || !f.utf8 || f.time != at.UnixNano() {
		t.Errorf("%q is read as %+v", name, f)
	}
	for _, foreign := range []string{
		strings.Replace(name, "W=123", "W=124", 1), strings.Replace(name, ",C=", ",D=", 1), name + ",X", "x" + name,
		strings.Replace(name, "R", "", 1), strings.Replace(name, ",S=123,W=123", ",W=123,S=123", 1), b + ",C=00000abc",
	} {
		if f := parseName(foreign); f.own || f.utf8 {
			t.Errorf("%q is taken for ours", foreign)
		}
	}
	for name, want := range map[string]int64{
		"1204680122.M27P3.host":                 1204680122_000027_000,
		"1234567890.V801I2c0bM123456.host":      1234567890_123456_000,
		"1234567890.123.host":                   1234567890_000000_000,
		"1234567890":                            0,
		"nothing":                               0,
		"99999999999999999999.a":                0,
		"253402300800.a":                        0,
		"1234567890.M9999999.host,S=1,W=2:2,RS": 1234567890_000000_000,
	} {
		if got := parseName(name).time; got != want {
			t.Errorf("%q has the time %d, want %d", name, got, want)
		}
	}
	if got := hostPart("a/b:c,d e"); got != "a_b_c_d_e" {
		t.Errorf("host part %q", got)
	}
}

func TestValidUIDIsThatOfPOP3(t *testing.T) {
	for _, s := range []string{"", "a", strings.Repeat("x", 70), strings.Repeat("x", 71), "a b", "a\x7f", "\x21\x7e", "\x80", "a\n"} {
		if validUID(s) != pop3.ValidUID(s) {
			t.Errorf("%q: %t", s, validUID(s))
		}
		if !pop3.ValidUID(uidOf(s)) {
			t.Errorf("%q has no UID", s)
		}
	}
}

// Names go up even when the clock goes back.
// TestTimesHaveRoom: a second beyond what nanoseconds can say is no time.
func TestTimesHaveRoom(t *testing.T) {
	for name, want := range map[string]int64{
		"9223372035.M999999P1.host": 9223372035_999999000, "9223372036.M1P1.host": 0, "253402300799.M1P1.host": 0,
	} {
		if got := parseName(name).time; got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

func TestNamesAreMonotone(t *testing.T) {
	g := names{host: "h", pid: 1}
	now := time.Unix(1700000000, 0)
	last := ""
	for i := range 1000 {
		b := g.next(now.Add(time.Duration(i%7)*time.Second-time.Duration(i)*time.Hour), uint32(i))
		if parseName(b).time <= parseName(last).time {
			t.Fatalf("%q after %q", b, last)
		}
		last = b
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("1700000000.M000001P1Q1R00000001.h,S=1,W=1,C=00000001,U:2,S")
	f.Add(",:")
	f.Add("1.V1I2M3.h,S=")
	f.Fuzz(func(t *testing.T, name string) {
		got := parseName(name)
		if got.s < -1 || got.w < -1 || got.time < 0 || got.own && got.s != got.w {
			t.Errorf("%q: %+v", name, got)
		}
		if !validUID(uidOf(base(name))) || !strings.HasPrefix(stem(name), base(name)) {
			t.Errorf("%q: base %q", name, base(name))
		}
	})
}
