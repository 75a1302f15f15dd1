// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// inherited are the sockets that systemd has bound for this process,
// systemd.socket(5). They stay open to its end, so that a reload can come back
// to one.
type inherited struct {
	once  sync.Once
	files []*os.File
}

// listeners returns what listens under a name, the FileDescriptorName= of the
// socket unit.
func (in *inherited) listeners(name string) ([]net.Listener, error) {
	in.once.Do(func() { in.files = activation.Files(true) })
	if len(in.files) == 0 {
		return nil, errors.New("systemd has given no sockets: start the server by its socket unit, packaging/restanted.socket")
	}
	var list []net.Listener
	for _, f := range in.files {
		if f.Name() != name {
			continue
		}
		l, err := listenerOf(f)
		if err != nil {
			for _, before := range list {
				_ = before.Close() // nobody has come in by it
			}
			return nil, err
		}
		list = append(list, l)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("systemd has given no socket of that name; it has given: %s (FileDescriptorName= of the socket unit)", strings.Join(in.names(), ", "))
	}
	return list, nil
}

// listenerOf returns the listener of a descriptor, which stays open beside it.
func listenerOf(f *os.File) (net.Listener, error) {
	listening, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listening == 0 {
		return nil, errors.New("what systemd has given is no socket that listens for connections; it needs ListenStream=, and Accept=no")
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// names returns the names of the sockets that were given.
func (in *inherited) names() []string {
	var list []string
	for _, f := range in.files {
		list = append(list, f.Name())
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// unused returns the names that none of the listeners asks for.
func (in *inherited) unused(list []*listener) []string {
	in.once.Do(func() { in.files = activation.Files(true) })
	return slices.DeleteFunc(in.names(), func(name string) bool {
		return slices.ContainsFunc(list, func(l *listener) bool { return l.at.Address == "systemd:"+name })
	})
}
