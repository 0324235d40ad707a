package main

import (
	"fmt"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

func TestChildProcess(t *testing.T) {
	program := exampletest.Path(t)
	t.Run("three generations", func(t *testing.T) { testGenerations(t, program) })
	t.Run("context of the parent", func(t *testing.T) { testContinued(t, program) })
	t.Run("stale context", func(t *testing.T) { testStale(t, program) })
	t.Run("exit code", func(t *testing.T) { testExitCode(t, program) })
}

func testGenerations(t *testing.T, program string) {
	t.Helper()
	c := exampletest.NewCollector(t)
	c.Start(t, program, "build", program, program).Wait(t, 0)
	c.Expect(t, `
		build childprocess INTERNAL
			build childprocess CLIENT
				build childprocess INTERNAL
					build childprocess CLIENT
						build childprocess INTERNAL
	`)
	c.TraceID(t)
}

func testContinued(t *testing.T, program string) {
	t.Helper()
	c := exampletest.NewCollector(t)
	p := c.Start(t, program, "build", "TRACEPARENT=00-"+traceID+"-00f067aa0ba902b7-03", "TRACESTATE=vendor=x", "BAGGAGE=app.user=alice",
		"sh", "-c", "echo $TRACEPARENT $TRACESTATE $BAGGAGE")
	p.Wait(t, 0)
	c.Expect(t, `
		build childprocess INTERNAL parent: 00f067aa0ba902b7
			build sh CLIENT
	`)
	want := fmt.Sprintf("00-%s-%x-03 vendor=x app.user=alice\n", traceID, c.Find(t, "build", "sh").GetSpanId())
	if got := p.Stdout(); got != want {
		t.Errorf("the child's context is %q, want %q", got, want)
	}
}

// testStale starts with a context that cannot be continued; none of it may reach
// the child.
func testStale(t *testing.T, program string) {
	t.Helper()
	c := exampletest.NewCollector(t)
	p := c.Start(t, program, "build", "TRACEPARENT=00-invalid", "TRACESTATE=vendor=x", "BAGGAGE=not baggage", "sh", "-c", "echo $TRACEPARENT $TRACESTATE $BAGGAGE")
	p.Wait(t, 0)
	want := fmt.Sprintf("00-%s-%x-03\n", c.TraceID(t), c.Find(t, "build", "sh").GetSpanId())
	if got := p.Stdout(); got != want {
		t.Errorf("the child's context is %q, want %q", got, want)
	}
}

func testExitCode(t *testing.T, program string) {
	t.Helper()
	c := exampletest.NewCollector(t)
	c.Start(t, program, "build", "sh", "-c", "exit 3").Wait(t, 1)
	c.Expect(t, `
		build childprocess INTERNAL
			build sh CLIENT ERROR
	`)
	span := c.Find(t, "build", "sh")
	if code := otlpreceiver.Attribute(span.GetAttributes(), "process.exit.code"); code.GetIntValue() != 3 {
		t.Errorf("process.exit.code is %v, want 3", code)
	}
}
