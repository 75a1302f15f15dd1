// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what this one has.
type machine struct {
	memory    int64 // octets
	processes int64 // at most at the same time
	lines     []string
}

func thisMachine(dir string) (machine, error) {
	var m machine
	kb, err := fieldOf("/proc/meminfo", "MemTotal")
	if err != nil {
		return m, err
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(kb, " kB"), 10, 64)
	if err != nil {
		return m, err
	}
	m.memory = n << 10
	limit, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return m, err
	}
	if m.processes, err = strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err != nil {
		return m, err
	}
	cpu, err := fieldOf("/proc/cpuinfo", "model name")
	if err != nil {
		cpu = runtime.GOARCH // not every architecture names its model
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	system, err := fieldOf("/etc/os-release", "PRETTY_NAME")
	if err != nil {
		system = "unknown system"
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return m, err
	}
	m.lines = []string{
		fmt.Sprintf("%d cores, %s", runtime.NumCPU(), cpu),
		fmt.Sprintf("%.0f GB of memory", float64(m.memory)/1e9),
		fmt.Sprintf("%s, Linux %s", strings.Trim(system, `"`), strings.TrimSpace(string(kernel))),
		fmt.Sprintf("mail on %s%s", fileSystem(int64(fs.Type)), more(dir)),
		runtime.Version(),
	}
	return m, nil
}

// fileSystem names a file system by its number.
func fileSystem(kind int64) string {
	switch kind {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "XFS"
	case unix.BTRFS_SUPER_MAGIC:
		return "Btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs, where flushing costs nothing"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("file system %#x", kind)
}

// more tells what the name of a file system leaves out and what flushes depend on.
func more(dir string) string {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return ""
	}
	device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return "" // on no block device
	}
	text := ""
	if task, err := os.ReadFile(filepath.Join("/sys/fs/ext4", filepath.Base(device), "journal_task")); err == nil && strings.TrimSpace(string(task)) == "<none>" {
		text = " without a journal"
	}
	if strings.HasPrefix(filepath.Base(device), "loop") {
		text += " of its own, in a file"
	}
	return text
}

// fieldOf returns the value of the first line of a file that begins with a name,
// up to a colon or an equals sign.
func fieldOf(file, name string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if i := strings.IndexAny(line, ":="); i > 0 && strings.TrimSpace(line[:i]) == name {
			return strings.TrimSpace(line[i+1:]), nil
		}
	}
	return "", fmt.Errorf("%s names no %s", filepath.Base(file), name)
}
