// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// family returns the pids and those of all their living descendants.
func family(pids []int) ([]int, error) {
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
	list := append([]int(nil), pids...)
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

// ticks adds up times as /proc has them.
func ticks(fields []string) (sum time.Duration, err error) {
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// cpuOf returns the processor time that processes and their descendants have
// used. Of those that live it is exact; what the ended ones used is counted in
// ticks by those who waited for them. The own time of a process in apart, which
// is no part of the server, is left out.
func cpuOf(pids []int, apart int) (time.Duration, error) {
	all, err := family(pids)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range all {
		fields, err := statFields(pid)
		if err != nil {
			continue // it has ended, and somebody has waited for it
		}
		ended, err := ticks(fields[13:15]) // cutime, cstime
		if err != nil {
			return 0, err
		}
		sum += ended
		if pid == apart {
			continue
		}
		own, err := clockOf(pid)
		if err != nil {
			// It has ended since, or nobody has waited for it: then it still tells
			// what it used in ticks.
			own, err = ticks(fields[11:13]) // utime, stime
		}
		if err != nil {
			return 0, err
		}
		sum += own
	}
	return sum, nil
}

// clockOf reads the clock of a process that runs while the process does. The
// number of the clock is made as clock_getcpuclockid(3) makes it.
func clockOf(pid int) (time.Duration, error) {
	const ofProcess, scheduled = 0, 2
	var t unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|ofProcess|scheduled, &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// memoryOf returns the proportional set size of processes and their descendants
// in octets, and how many they are. The process apart is left out.
func memoryOf(pids []int, apart int) (octets int64, processes int, err error) {
	all, err := family(pids)
	if err != nil {
		return 0, 0, err
	}
	for _, pid := range all {
		if pid == apart {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
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

// watch looks at the memory of processes again and again until it is ended,
// and then tells the most that there was, in octets. A look at thousands of
// processes takes a while, and the next one waits for ten times as long.
func watch(pids []int, apart int) (end func() (int64, error)) {
	stop, result := make(chan struct{}), make(chan error, 1)
	var most int64
	look := func() (time.Duration, error) {
		began := time.Now()
		octets, _, err := memoryOf(pids, apart)
		most = max(most, octets)
		return max(250*time.Millisecond, 10*time.Since(began)), err
	}
	pause, err := look() // before the work begins, so as not to be in its way
	go func() {
		for err == nil {
			select {
			case <-stop:
				_, err = look()
				result <- err
				return
			case <-time.After(pause):
				pause, err = look()
			}
		}
		result <- err
	}()
	return func() (int64, error) {
		close(stop)
		err := <-result
		return most, err
	}
}
