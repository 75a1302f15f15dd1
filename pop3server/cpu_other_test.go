// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package pop3server_test

import (
	"testing"
	"time"
)

// cpu is not measured here.
func cpu(testing.TB) time.Duration { return 0 }
