// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "restante.example"

// floor says what a package may import besides the standard library. Prefixes
// match whole path elements.
type floor struct {
	packages []string
	may      []string
	why      string
}

// floors are the rules of who may know whom. The first floor that names a
// package applies, and every package must stand on one.
var floors = []floor{
	{
		packages: []string{"pop3", "sasl", "maildrop", "internal/wire", "internal/fsx"},
		may:      []string{"golang.org/x", module + "/pop3", module + "/maildrop/droptest"},
		why:      "the ground floor knows words, octets and files, and nobody above it",
	},
	{
		packages: []string{"pop3server", "pop3client", "autoconf"},
		may: []string{"golang.org/x", module + "/pop3", module + "/sasl", module + "/maildrop", module + "/internal/wire",
			module + "/pop3server"},
		why: "the two ends of the protocol are for everybody: they bring no dependency but golang.org/x, and know no store",
	},
	{
		packages: []string{"collect/sqlitejournal"},
		may:      []string{"golang.org/x", "modernc.org/sqlite", module + "/collect"},
		why:      "the journal in SQLite is beside collect, so that collect itself links no database",
	},
	{
		packages: []string{"collect"},
		may:      []string{"golang.org/x", module + "/pop3", module + "/pop3client", module + "/sasl", module + "/internal/wire"},
		why:      "collect is for programs that poll mailboxes: journal and handler are interfaces of theirs",
	},
	{
		packages: []string{"internal/maildir", "internal/journal"},
		may: []string{"golang.org/x", module + "/pop3", module + "/maildrop", module + "/internal/fsx", module + "/internal/wire",
			module + "/internal/journal"},
		why: "a store knows its contract and its files, never a protocol, a user or a daemon",
	},
	{
		packages: []string{"internal/directory"},
		may: []string{"golang.org/x", "modernc.org/sqlite", module + "/maildrop", module + "/sasl", module + "/pop3",
			module + "/internal/passwords"},
		why: "the directory of users is the one place of the server that knows SQLite",
	},
	{
		packages: []string{"internal/passwords"},
		may:      []string{"golang.org/x", "github.com/go-crypt/x", module + "/sasl"},
		why:      "what is stored of a password is known in one place, which knows no users",
	},
	{
		packages: []string{"internal/passwdfile", "internal/checkpassword"},
		may:      []string{"golang.org/x", module + "/internal/directory", module + "/internal/passwords", module + "/maildrop", module + "/sasl"},
		why:      "a source of users reads or asks; what becomes of the answer is for the directory",
	},
	{
		packages: []string{"internal/guard"},
		may:      []string{"golang.org/x"},
		why:      "the guard against guessing counts addresses and names; it needs nobody",
	},
	{
		packages: []string{"internal/intake", "internal/lmtp"},
		may:      []string{"golang.org/x", module + "/maildrop", module + "/internal/wire", module + "/internal/intake"},
		why:      "taking mail in rests on the contracts, so that every store and directory can stand behind it",
	},
	{
		packages: []string{"internal/sandbox"},
		may:      []string{"github.com/landlock-lsm/go-landlock"},
		why:      "a sandbox is told what a process needs, and knows nobody",
	},
	{
		packages: []string{"internal/proxyheader"},
		may:      []string{"github.com/pires/go-proxyproto"},
		why:      "what a proxy says of its client is read before anybody else knows the connection",
	},
	{
		packages: []string{"internal/peers", "internal/house", "internal/texts", "internal/cert"},
		may:      []string{"golang.org/x"},
		why:      "small helpers stay small",
	},
	{
		packages: []string{"internal", "cmd", "bench"},
		may:      []string{""},
		why:      "the upper floors may know anything that docs/dependencies.md names",
	},
}

// never are packages that a command must not link, however far below.
var never = []struct {
	command string
	banned  []string
	why     string
}{
	{"cmd/restante", []string{
		"github.com/jackc/pgx", "github.com/minio/minio-go", "github.com/aws/aws-sdk-go-v2",
		"github.com/caddyserver/certmagic", "golang.org/x/crypto/acme", "github.com/prometheus/client_golang",
		"github.com/coreos/go-oidc", "github.com/go-jose/go-jose",
		module + "/internal/daemon", module + "/internal/maildir", module + "/internal/directory",
	}, "the collector runs on people's own machines: no server parts, object stores, ACME or metrics in it"},
	{"cmd/restanted", []string{"net/mail"},
		"the server interprets no message content; this package had denial-of-service advisories"},
}

// content are packages that read what is inside of messages. net/http brings
// some of them with it, so that the command may link them and its mail path,
// the packages below, may not; nor does any of our packages in the command
// import them itself.
var content = struct {
	banned, path []string
	why          string
}{
	[]string{"net/mail", "mime", "mime/multipart", "net/textproto"},
	[]string{"pop3server", "internal/lmtp", "internal/intake", "internal/maildir", "internal/wire"},
	"the server interprets no message content; these packages had denial-of-service advisories",
}

// only says which packages may import a module, so that it stays in one place.
// Prefixes match whole path elements.
var only = []struct {
	modules  []string
	packages []string
	why      string
}{
	{[]string{"github.com/coreos/go-oidc", "github.com/go-jose/go-jose"}, []string{"internal/tokens"},
		"what a signed token says is decided in one place, and the collector links none of it"},
	{[]string{"github.com/prometheus"}, []string{"internal/metrics"},
		"who measures is decided in one place; the others tell what happens through hooks that know nothing of it"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports,Deps,Standard"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var list []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func under(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// findFloor returns the floor of a package, given without the module.
func findFloor(pkg string) *floor {
	for i := range floors {
		for _, p := range floors[i].packages {
			if under(pkg, p) {
				return &floors[i]
			}
		}
	}
	return nil
}

func TestWhoMayKnowWhom(t *testing.T) {
	seen := 0
	for _, p := range goList(t, "./...") {
		pkg := strings.TrimPrefix(p.ImportPath, module+"/")
		f := findFloor(pkg)
		if f == nil {
			t.Errorf("%s stands on no floor: give it one in this test, with the reason", pkg)
			continue
		}
		seen++
		for _, imp := range p.Imports {
			ok := standard(imp)
			for _, may := range f.may {
				ok = ok || under(imp, may)
			}
			for _, own := range f.packages {
				ok = ok || under(imp, module+"/"+own)
			}
			if !ok {
				t.Errorf("%s imports %s: %s", pkg, imp, f.why)
			}
		}
	}
	if seen < 5 {
		t.Fatalf("only %d packages were looked at", seen)
	}
}

func TestCommandsLinkNothingBanned(t *testing.T) {
	for _, rule := range never {
		for _, p := range goList(t, "./"+rule.command) {
			if len(p.Deps) < 10 {
				t.Fatalf("%s: only %d dependencies were seen", rule.command, len(p.Deps))
			}
			for _, dep := range p.Deps {
				for _, banned := range rule.banned {
					if under(dep, banned) && !(standard(dep) && dep != banned) {
						t.Errorf("%s links %s: %s", rule.command, dep, rule.why)
					}
				}
			}
		}
	}
}

func TestMailPathReadsNoContent(t *testing.T) {
	isBanned := func(path string) bool {
		for _, b := range content.banned {
			if path == b {
				return true
			}
		}
		return false
	}
	for _, pkg := range content.path {
		for _, p := range goList(t, "./"+pkg) {
			if len(p.Deps) < 10 {
				t.Fatalf("%s: only %d dependencies were seen", pkg, len(p.Deps))
			}
			for _, dep := range p.Deps {
				if isBanned(dep) {
					t.Errorf("%s links %s: %s", pkg, dep, content.why)
				}
			}
		}
	}
	ours := 0
	for _, p := range goList(t, "-deps", "./cmd/restanted") {
		if !under(p.ImportPath, module) {
			continue
		}
		ours++
		for _, imp := range p.Imports {
			if isBanned(imp) {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, content.why)
			}
		}
	}
	if ours < 10 {
		t.Fatalf("only %d of our packages were seen in cmd/restanted", ours)
	}
}

func TestModulesStayInTheirPlace(t *testing.T) {
	for _, p := range goList(t, "./...") {
		pkg := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, rule := range only {
			allowed := false
			for _, may := range rule.packages {
				allowed = allowed || under(pkg, may)
			}
			for _, imp := range p.Imports {
				for _, m := range rule.modules {
					if !allowed && under(imp, m) {
						t.Errorf("%s imports %s: %s", pkg, imp, rule.why)
					}
				}
			}
		}
	}
}
