// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !amd64

package main

import "errors"

// hasClock: the tracer knows the registers of amd64 only.
const hasClock = false

var errNoClock = errors.New("there is no tracer of clocks for this kind of machine")

func enterClock([]string) error { return errNoClock }

func traceClock([]string) (int, error) { return 0, errNoClock }
