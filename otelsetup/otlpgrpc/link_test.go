package otlpgrpc_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
)

// TestSignalsShareConnections if they have the same certificates: over HTTP they get one
// transport, and another protocol gets one TLS configuration.
func TestSignalsShareConnections(t *testing.T) {
	var configs []any
	extend.Protocols.Register("noting", func(_ context.Context, c extend.OTLP) (delivery.Sender, error) {
		configs = append(configs, c.TLS)
		return nil, errors.New("only looks")
	})
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"one.pem", "other.pem"} {
		files = append(files, filepath.Join(dir, name))
		if err := os.WriteFile(files[len(files)-1], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		rule, all, logs string
		shared          bool
	}{
		{"the system's certificates", "", "", true},
		{"the same file", files[0], "", true},
		{"another file", files[0], files[1], false},
	} {
		for _, protocol := range []string{"http/protobuf", "noting"} {
			t.Run(test.rule+" over "+protocol, func(t *testing.T) {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")
				t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
				t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", test.all)
				t.Setenv("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", test.logs)
				var got []any
				configs = nil
				telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler),
					otelsetup.Customize(extend.Customizers{OTLPTransport: func(_ string, next http.RoundTripper) http.RoundTripper {
						got = append(got, next)
						return next
					}}))
				if err != nil {
					t.Fatal(err)
				}
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				_ = telemetry.Shutdown(ended) // nobody listens
				got = append(got, configs...)
				if len(got) != 3 {
					t.Fatalf("%d signals", len(got))
				}
				if shared := got[0] == got[1] && got[1] == got[2]; shared != test.shared {
					t.Errorf("%v: shared %t, want %t", got, shared, test.shared)
				}
				if config, ok := got[0].(*tls.Config); ok && (config == nil) != (test.all == "") {
					t.Errorf("the configuration is %v", config)
				}
			})
		}
	}
}
