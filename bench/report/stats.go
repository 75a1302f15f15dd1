// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strconv"
)

// Median returns the middle of the values, of which there is one at least.
func Median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// Quantile returns the value that the part p of the values does not exceed.
func Quantile(values []float64, p float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return v[min(len(v)-1, int(p*float64(len(v))))]
}

// Number writes a value with three digits that count.
func Number(v float64) string {
	switch {
	case v >= 99.95:
		return grouped(fmt.Sprintf("%.0f", v))
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.9995 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// Count writes a whole number.
func Count(n int) string { return grouped(strconv.Itoa(n)) }

// grouped puts commas into the digits of a whole number.
func grouped(s string) string {
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
