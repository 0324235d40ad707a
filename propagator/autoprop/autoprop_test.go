package autoprop_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	clew "github.com/clewtrace/clew/propagator/autoprop"
)

const program = "AUTOPROP_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(program) == "" {
		os.Exit(m.Run())
	}
	// What generated set-up code does, and a service that passes on what it got.
	otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())
	p := otel.GetTextMapPropagator()
	received := propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
		"tracestate":  "0vendor=1,rojo=2", // a key of level 2
		"baggage":     "user=alice",
	}
	sent := propagation.MapCarrier{}
	p.Inject(p.Extract(context.Background(), received), sent)
	fmt.Println(sent)
}

// TestEnvironmentVariable runs a process that knows autoprop alone. A
// tracestate of level 2 tells the propagators apart: the stock one drops it.
func TestEnvironmentVariable(t *testing.T) {
	const state = "tracestate:0vendor=1,rojo=2"
	for _, test := range []struct {
		value          string
		state, baggage bool
	}{
		{"tracecontext", false, false},
		{clew.Name, true, false},
		{"clew,baggage", true, true},
	} {
		t.Run(test.value, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), program+"=1", "OTEL_PROPAGATORS="+test.value)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			sent := string(out)
			if !strings.Contains(sent, "traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03") {
				t.Errorf("sent %s, want the traceparent", sent)
			}
			if strings.Contains(sent, state) != test.state || strings.Contains(sent, "baggage:user=alice") != test.baggage {
				t.Errorf("sent %s, want the whole tracestate: %v, baggage: %v", sent, test.state, test.baggage)
			}
		})
	}
}
