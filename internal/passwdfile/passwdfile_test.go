// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwdfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"restante.example/maildrop"
)

const sum = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="

func parse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return f
}

// lines returns the numbers of the lines of a note whose text holds some words.
func (f *File) lines(words string) []int {
	for _, n := range f.Notes {
		if strings.Contains(n.Text, words) {
			return n.Lines
		}
	}
	return nil
}

func TestUsers(t *testing.T) {
	f := parse(t, "# users\n\nana@Example.ORG:"+sum+":1000:1000::/home/ana:/bin/sh:userdb_mail=maildir:~/Maildir  x=y\r\n"+
		"bea:$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1\ncleo:{PLAIN}a b:::::: nologin\n")
	if len(f.Users) != 3 || f.Users[0].Name != "ana@example.org" || string(f.Users[0].Password) != sum || f.Users[0].NoLogin ||
		f.Users[1].Name != "bea" || string(f.Users[1].Password) != "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1" ||
		string(f.Users[2].Password) != "{PLAIN}a b" || !f.Users[2].NoLogin {
		t.Errorf("%+v", f.Users)
	}
	for _, u := range f.Users {
		if u.Unclear != "" || u.Nets != nil || u.Quota != nil {
			t.Errorf("%+v", u)
		}
	}
	for _, words := range []string{"uid", "gid", "home", "shell", `"userdb_mail"`, `"x"`} {
		if got := f.lines(words + " is not used"); !slices.Equal(got, []int{3}) {
			t.Errorf("%s: noted for %v", words, got)
		}
	}
	if f.lines("gecos") != nil {
		t.Error("an empty field is noted")
	}
	for _, n := range f.Notes {
		if n.Problem {
			t.Errorf("a problem: %+v", n)
		}
	}
}

// A user is never let in, or called unknown, for want of understanding.
func TestUnclear(t *testing.T) {
	f := parse(t, strings.Join([]string{"ok:" + sum, "nothing", "empty:", "star:x", "des:abNANd1rDfiNc", "what:{WHAT}secret",
		"open:{PLAIN}x::::::nopassword=y", "proxied:" + sum + "::::::proxy host=192.0.2.1", "renamed:" + sum + "::::::user=root",
		"master:" + sum + "::::::MASTER=yes", "nets:" + sum + "::::::allow_nets=10.0.0.0/33", "nonets:" + sum + "::::::allow_nets=",
		"twice:" + sum, "TWICE:{PLAIN}x", "bad name:" + sum, "a/b:" + sum, ":" + sum, "é\xff:" + sum, ""}, "\n"))
	if len(f.Users) != 13 {
		t.Errorf("%d users", len(f.Users))
	}
	for _, u := range f.Users {
		if (u.Unclear == "") != (u.Name == "ok") {
			t.Errorf("%+v", u)
		}
	}
	for words, want := range map[string][]int{"no colon": {2}, "no password": {2}, "crypt(3)": {4, 5}, "proxy": {8}, "twice": {14},
		"allow_nets is not": {11, 12}, "the name cannot be": {15, 16, 17, 18}, "nopassword": {7}} {
		if got := f.lines(words); !slices.Equal(got, want) {
			t.Errorf("%s: lines %v, want %v", words, got, want)
		}
	}
	for _, n := range f.Notes {
		if !n.Problem || strings.Contains(n.Text, "secret") {
			t.Errorf("%+v", n)
		}
	}
}

func TestExtraFields(t *testing.T) {
	f := parse(t, "ana:"+sum+"::::::allow_nets=10.0.0.1/8,192.0.2.1,2001:db8::/32,local userdb_quota_rule=*:storage=2G:messages=9\n"+
		"bea:"+sum+"::::::userdb_quota_rule=*:bytes=500M userdb_quota_rule2=Trash:storage=+10%\n"+
		"cleo:"+sum+"::::::userdb_quota_rule=*:storage=100\n"+
		"dora:"+sum+"::::::userdb_quota_storage_size=1GiB\tuserdb_quota_message_count=7\n"+
		"emil:"+sum+"::::::userdb_quota_rule=*:storage=10%\n"+"fred:"+sum+"::::::userdb_quota_rule=Trash:storage=1M\n")
	u := f.Users[0]
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32")}
	if !u.Local || !slices.Equal(u.Nets, want) {
		t.Errorf("%+v", u)
	}
	for i, want := range []maildrop.Quota{{Octets: 2 << 30, Messages: 9}, {Octets: 500 << 20}, {Octets: 100 << 10}, {Octets: 1 << 30, Messages: 7}} {
		if q := f.Users[i].Quota; q == nil || *q != want {
			t.Errorf("%s: %+v, want %+v", f.Users[i].Name, q, want)
		}
	}
	if f.Users[4].Quota != nil || f.Users[5].Quota != nil || !slices.Equal(f.lines("quota is not understood"), []int{5}) || !slices.Equal(f.lines("for a folder"), []int{6}) {
		t.Errorf("%+v", f.Notes)
	}
}

// endless repeats a text for ever.
type endless struct {
	text string
	read int64
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[int(e.read)%len(e.text)]
		e.read++
	}
	return len(p), nil
}

func TestWholeFilesThatAreNotUsed(t *testing.T) {
	for text, want := range map[string]error{"": ErrNoUsers, "# nobody\n\n": ErrNoUsers, "ana:" + sum: ErrUnfinished,
		"ana:" + sum + "\nbe": ErrUnfinished} {
		if _, err := Parse(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	for _, text := range []string{"ana:" + sum + "\nb\x00a:x\n", "\x7fELF\x00\n", strings.Repeat("x", maxLine+1) + "\n"} {
		if _, err := Parse(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "5en6") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := Parse(io.MultiReader(strings.NewReader("ana:"+sum+"\n"), errReader{})); err == nil || errors.Is(err, ErrUnfinished) {
		t.Errorf("a disk that fails: %v", err)
	}
	// A line and a file without an end cost no more than their bounds.
	long := &endless{text: "x"}
	if _, err := Parse(long); err == nil || long.read > 2*maxLine {
		t.Errorf("an endless line: %v after %d octets", err, long.read)
	}
	if testing.Short() {
		t.Skip("an endless file takes a second; without -short it is read")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Parse(&endless{text: "# a comment that goes on\n"}); err == nil {
		t.Error("an endless file was taken")
	}
	runtime.ReadMemStats(&after)
	if grown := after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc); grown > 64<<20 {
		t.Errorf("an endless file took %d octets", grown)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

// Many users, and many kinds of mistakes, are told in few words.
func TestManyUsers(t *testing.T) {
	var b bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&b, "u%d@example.org:%s:%d::::: key%d=1\n", i, sum, i, i)
	}
	f := parse(t, b.String())
	if len(f.Users) != 100_000 || len(f.Notes) > maxNotes+1 {
		t.Errorf("%d users, %d notes", len(f.Users), len(f.Notes))
	}
	for _, n := range f.Notes {
		if len(n.Lines) > maxLines {
			t.Errorf("%s: %d lines", n.Text, len(n.Lines))
		}
	}
	if f.Notes[0].Count != 100_000 {
		t.Errorf("%+v", f.Notes[0])
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"ana:" + sum + ":1:1:g:h:s:nologin allow_nets=10.0.0.0/8,local userdb_quota_rule=*:storage=1G\n",
		"# x\n\na:{PLAIN}b\na:c\n", "ana:x[13]:::::: proxy host=x\n", "é@example.org:$1$a$b\r\n", "a:b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, u := range file.Users {
			if u.Name == "" || names[u.Name] {
				t.Errorf("the name %q twice, or empty", u.Name)
			}
			names[u.Name] = true
		}
		if n := strings.Count(text, "\n"); len(file.Users) > n {
			t.Errorf("%d users in %d lines", len(file.Users), n)
		}
		for _, n := range file.Notes {
			if n.Text == "" || len(n.Lines) == 0 {
				t.Errorf("%+v", n)
			}
		}
	})
}
