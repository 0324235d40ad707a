// The race detector allocates itself.

//go:build !race

package delivery_test

import (
	"testing"

	"github.com/clewtrace/clew/delivery"
)

// TestOnEndDoesNotAllocate: what a batch costs is paid once for its 2,048 spans.
func TestOnEndDoesNotAllocate(t *testing.T) {
	tr := newTransport(t, delivery.Config{Base: swallow{}, ErrorHandler: new(handled)})
	p := tr.SpanProcessor(delivery.Route{}, delivery.Batch{})
	span := endedSpan()
	if n := testing.AllocsPerRun(10*delivery.DefaultMaxItems, func() { p.OnEnd(span) }); n != 0 {
		t.Errorf("%v allocations for a span", n)
	}
}
