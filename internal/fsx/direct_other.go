// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fsx

import "os"

// direct is for Linux only: elsewhere package os does everything.
type direct struct{}

func openDirect(*os.Root) (*direct, error) { return nil, nil }

func (d *direct) close() error              { return nil }
func (d *direct) stat(string) (Info, error) { return Info{}, os.ErrInvalid }
func (d *direct) open(string) (File, error) { return nil, os.ErrInvalid }
