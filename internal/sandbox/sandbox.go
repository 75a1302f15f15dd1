// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package sandbox gives up what a server does not need, for good: most of the
// file system, running programs, connections to others. It uses Landlock, as
// much of it as the kernel has; what is open already stays open.
package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Needs are what a process keeps. Paths are absolute.
type Needs struct {
	// Write are directories in which everything may be done but to run programs
	// and to make devices.
	Write []string
	// Read are files and directories that are read; of those that are not there
	// nothing is kept.
	Read []string
	// Renewed are files that others replace, maybe through links, as certificates
	// are: the directories that they are in are kept for reading, by name and as
	// the links lead now.
	Renewed []string
	// Run lets programs be run and everything be read: for helpers, whose needs
	// nobody knows.
	Run bool
	// Connect lets connections of TCP be made.
	Connect bool
	// Abstract lets abstract Unix sockets be connected to.
	Abstract bool
}

// Report is what is in force.
type Report struct {
	// ABI is the version of Landlock that the kernel has; 0 is none.
	ABI int
	// Files, Connections and Signals say what is confined.
	Files, Connections, Signals bool
}

// ErrNoLandlock says that the kernel confines nothing.
var ErrNoLandlock = errors.New("the kernel has no Landlock, or not enough of it; it is there from Linux 5.19 on, where it is not switched off at boot")

// Rights, as of Landlock; those that a kernel does not know it does not confine.
const (
	readFile = ll.AccessFSReadFile
	read     = ll.AccessFSReadFile | ll.AccessFSReadDir
	write    = ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
		ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSRefer
	// confined are all that a process cannot do without being let.
	confined = read | write | ll.AccessFSExecute | ll.AccessFSMakeChar | ll.AccessFSMakeBlock | ll.AccessFSMakeFifo |
		ll.AccessFSMakeSym | ll.AccessFSIoctlDev
)

// The least versions of Landlock that confine something. Before the second,
// nothing can be moved between directories, which no Maildir can do without.
const (
	abiFiles = 2
	abiTCP   = 4
	abiScope = 6
)

// Enter gives up everything but the needs, for this process and those that it
// starts. It cannot be undone. The error is ErrNoLandlock where the kernel
// confines nothing; then nothing has changed.
func Enter(n Needs) (Report, error) {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < abiFiles {
		return Report{ABI: max(abi, 0)}, ErrNoLandlock
	}
	r := Report{ABI: abi, Files: true, Connections: abi >= abiTCP && !n.Connect, Signals: abi >= abiScope}
	rules, err := n.rules()
	if err != nil {
		return Report{ABI: abi}, err
	}
	if err := n.config().BestEffort().Restrict(rules...); err != nil {
		return Report{ABI: abi}, fmt.Errorf("landlock: %w", err)
	}
	return r, nil
}

// config is what is confined.
func (n *Needs) config() landlock.Config {
	scoped := landlock.ScopedSet(ll.ScopeSignal)
	if !n.Abstract {
		scoped |= ll.ScopeAbstractUnixSocket
	}
	c := landlock.Config{HandledAccessFS: confined, Scoped: scoped}
	if !n.Connect {
		c.HandledAccessNet = ll.AccessNetConnectTCP
	}
	return c
}

// rules are the needs as Landlock takes them.
func (n *Needs) rules() ([]landlock.Rule, error) {
	rules := []landlock.Rule{
		// What the standard library and its like look at.
		landlock.PathAccess(readFile|ll.AccessFSWriteFile, "/dev/null").IgnoreIfMissing(),
		landlock.PathAccess(read, "/etc", "/usr/share/zoneinfo", "/usr/share/ca-certificates", "/proc/self").IgnoreIfMissing(),
		landlock.PathAccess(readFile, "/proc/stat", "/proc/meminfo").IgnoreIfMissing(),
	}
	if n.Run {
		rules = append(rules, landlock.PathAccess(read|ll.AccessFSExecute, "/"))
	}
	for _, dir := range n.Write {
		rules = append(rules, landlock.PathAccess(read|write, dir))
	}
	for _, path := range n.reading() {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			continue // nothing that could be read
		case err != nil:
			return nil, err
		case info.IsDir():
			rules = append(rules, landlock.PathAccess(read, path))
		default:
			rules = append(rules, landlock.PathAccess(readFile, path))
		}
	}
	return rules, nil
}

// reading returns Read and the directories of Renewed, each once and none that
// is below another.
func (n *Needs) reading() []string {
	list := slices.Clone(n.Read)
	for _, file := range n.Renewed {
		list = append(list, filepath.Dir(file))
		if real, err := filepath.EvalSymlinks(file); err == nil {
			list = append(list, filepath.Dir(real))
		}
	}
	for i, path := range list {
		list[i] = filepath.Clean(path)
	}
	slices.Sort(list)
	var kept []string
	for _, path := range list {
		if !slices.ContainsFunc(kept, func(dir string) bool {
			return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
		}) {
			kept = append(kept, path)
		}
	}
	return kept
}
