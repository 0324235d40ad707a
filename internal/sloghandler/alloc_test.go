//go:build !race

package sloghandler_test

import (
	"testing"

	"github.com/clewtrace/clew/internal/sloghandler"
)

// TestHandleAllocates counts what is allocated beside the calls of a handler
// that emits a record without looking at the attributes.
func TestHandleAllocates(t *testing.T) {
	for _, line := range programLines {
		l := loggerFor(line.name, sloghandler.New(dropping{}, "test", nil))
		if got := testing.AllocsPerRun(100, func() { line.log(t.Context(), l) }); got > line.allocs {
			t.Errorf("%s: %v allocations, want at most %v", line.name, got, line.allocs)
		}
	}
}
