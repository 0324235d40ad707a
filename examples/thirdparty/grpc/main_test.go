package main

import (
	"strings"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestGRPC(t *testing.T) {
	c := exampletest.NewCollector(t)
	program := exampletest.Path(t)
	server := c.Start(t, program, "server", "-addr", "127.0.0.1:0")
	addr := strings.TrimPrefix(server.URL(t), "grpc://")
	c.Start(t, program, "good", "-call", addr).Wait(t, 0)
	c.Start(t, program, "bad", "-call", addr, "-service", "nobody").Wait(t, 1)
	server.Stop(t)

	// An unknown service is the caller's mistake: no error of the server.
	c.Expect(t, `
		bad check INTERNAL ERROR
			bad grpc.health.v1.Health/Check CLIENT ERROR
				server grpc.health.v1.Health/Check SERVER
		good check INTERNAL
			good grpc.health.v1.Health/Check CLIENT
				server grpc.health.v1.Health/Check SERVER
	`)
	if lines := server.LogLines("msg=checking"); len(lines) != 2 ||
		!strings.Contains(lines[0], "trace_id=") || !strings.Contains(lines[1], "trace_id=") {
		t.Errorf("the server logs %q", lines)
	}
}
