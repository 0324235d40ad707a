package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/clewtrace/clew/e2e/internal/jaeger"
)

func TestJaegerServesSamplingStrategies(t *testing.T) {
	strategies := filepath.Join(t.TempDir(), "strategies.json")
	const content = `{
		"default_strategy": {"type": "probabilistic", "param": 0.25},
		"service_strategies": [{"service": "orders", "type": "probabilistic", "param": 0.5}]
	}`
	if err := os.WriteFile(strategies, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	server := jaeger.Start(t, jaeger.Config{SamplingStrategies: strategies})
	for service, want := range map[string]float64{"orders": 0.5, "another": 0.25} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.Sampling+"?service="+service, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer struct {
			ProbabilisticSampling struct{ SamplingRate float64 }
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		if got := answer.ProbabilisticSampling.SamplingRate; got != want {
			t.Errorf("service %s is sampled at %v, want %v", service, got, want)
		}
	}
}
