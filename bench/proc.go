// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// family returns the pid and those of all its living descendants.
func family(pid int) ([]int, error) {
	parents := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		fields, err := statFields(child)
		if err != nil {
			continue // it has ended meanwhile
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, err
		}
		parents[parent] = append(parents[parent], child)
	}
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		list = append(list, parents[list[i]]...)
	}
	return list, nil
}

// statFields returns the fields of /proc/PID/stat from the third, the state, on.
func statFields(pid int) ([]string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, err
	}
	_, rest, found := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 15 {
		return nil, fmt.Errorf("unexpected form of /proc/%d/stat", pid)
	}
	return fields, nil
}

// tick is the unit of times in /proc on Linux.
const tick = 10 * time.Millisecond

// cpuOf returns the processor time that a process and its descendants, the
// ended ones included, have used.
func cpuOf(pid int) (time.Duration, error) {
	pids, err := family(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, p := range pids {
		fields, err := statFields(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, f := range fields[11:15] { // utime, stime, cutime, cstime
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick, nil
}

// memoryOf returns the proportional set size of a process and its descendants,
// in octets, and how many they are.
func memoryOf(pid int) (octets int64, processes int, err error) {
	pids, err := family(pid)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range pids {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p), "smaps_rollup"))
		if err != nil {
			continue // it has ended meanwhile
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				if err != nil {
					return 0, 0, err
				}
				octets += kb << 10
				processes++
			}
		}
	}
	return octets, processes, nil
}
