package auto_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// thirdParty is a published program, which is built as it is.
type thirdParty struct {
	module, version string
	program         string // the package
	args            func(t *testing.T, addr, target string) []string
	get             string // the path to ask for; "": the program asks target and ends
	want            func(spans []otlpreceiver.Span) string
	code            int // after SIGTERM
}

var thirdParties = map[string]thirdParty{
	"go-httpbin": {
		"github.com/mccutchen/go-httpbin/v2", "v2.26.0", "./cmd/go-httpbin",
		func(_ *testing.T, addr, _ string) []string {
			host, port, _ := strings.Cut(addr, ":")
			return []string{"-host", host, "-port", port}
		}, "/status/418", served("GET /status/{code}", "418"), 0,
	},
	"hey": {
		"github.com/rakyll/hey", "v0.1.5", ".",
		func(_ *testing.T, _, target string) []string { return []string{"-n", "20", "-c", "2", target} },
		"", func(spans []otlpreceiver.Span) string {
			if len(spans) == 20 && spans[0].GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
				return ""
			}
			return fmt.Sprintf("%d spans, want 20 of clients", len(spans))
		}, 0,
	},
	"vegeta": {
		"github.com/tsenart/vegeta/v12", "v12.13.0", ".",
		func(t *testing.T, _, target string) []string {
			t.Helper()
			file := filepath.Join(t.TempDir(), "targets")
			write(t, file, "GET "+target+"\n")
			return []string{"attack", "-targets", file, "-rate", "100", "-duration", "200ms", "-output", os.DevNull}
		},
		"", func(spans []otlpreceiver.Span) string {
			if len(spans) == 20 {
				return ""
			}
			return fmt.Sprintf("%d spans, want 20", len(spans))
		}, 0,
	},
	"mailpit": {
		"github.com/axllent/mailpit", "v1.33.1", ".",
		func(t *testing.T, addr, _ string) []string {
			t.Helper()
			return []string{"--listen", addr, "--smtp", process.FreeAddrs(t, 1)[0], "--disable-version-check", "--database", filepath.Join(t.TempDir(), "db")}
		}, "/api/v1/messages", func(spans []otlpreceiver.Span) string {
			if wrong := served("GET /api/v1/messages", "200")(spans); wrong != "" {
				return wrong
			}
			for shape := range shapes(spans) {
				if strings.Contains(shape, "client SELECT") {
					return ""
				}
			}
			return fmt.Sprintf("no database span in %v", shapes(spans))
		}, 0,
	},
	"alertmanager": { // uses OpenTelemetry's API and SDK, which it leaves off
		"github.com/prometheus/alertmanager", "v0.28.1", "./cmd/alertmanager",
		func(t *testing.T, addr, _ string) []string {
			t.Helper()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "config.yml"), "route:\n  receiver: none\nreceivers:\n  - name: none\n")
			return []string{"--config.file", filepath.Join(dir, "config.yml"), "--storage.path", dir, "--web.listen-address", addr, "--cluster.listen-address="}
		}, "/api/v2/status", served("", "200"), 0,
	},
}

// served looks for a server span with that name, if any, and status.
func served(name, status string) func([]otlpreceiver.Span) string {
	return func(spans []otlpreceiver.Span) string {
		for _, s := range spans {
			code := otlpreceiver.Attribute(s.GetAttributes(), "http.response.status_code").GetIntValue()
			if s.GetKind() == tracepb.Span_SPAN_KIND_SERVER && (name == "" || s.GetName() == name) && strconv.FormatInt(code, 10) == status {
				return ""
			}
		}
		return fmt.Sprintf("no server span %q with status %s in %v", name, status, shapes(spans))
	}
}

// TestThirdPartyPrograms builds published programs, unmodified, and uses them.
func TestThirdPartyPrograms(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	for name, p := range thirdParties {
		t.Run(name, func(t *testing.T) {
			path := build(t, p.source(t), p.program)
			c, addr := newCollector(t), process.FreeAddrs(t, 1)[0]
			running := c.start(t, path, p.args(t, addr, target.URL))
			if p.get != "" {
				process.Eventually(t, limit, func() error { return get(t.Context(), "http://"+addr+p.get) })
				terminate(t, running)
			}
			if code := running.Wait(t, limit); code != p.code {
				t.Errorf("exit code %d, want %d", code, p.code)
			}
			if wrong := p.want(c.Spans()); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// source is a copy of the module, as it was published.
func (p thirdParty) source(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", p.module+"@"+p.version)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "source")
	if err := os.CopyFS(dir, os.DirFS(m.Dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}
