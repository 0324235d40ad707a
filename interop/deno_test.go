package interop_test

import (
	"context"
	"encoding/json"
	"github.com/clewtrace/clew/tracecontext"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// denoVersions are the newest, and the last one that finds header fields
// whatever the case of their names.
var denoVersions = []string{"2.9.6", "2.8.2"}

const denoCaseSensitive = "2.9.6"

// Why things are lost in Deno.
const (
	denoState  = "Deno drops the tracestate. So in 2.8.2 and 2.9.6."
	denoFlags  = "Deno writes `00` or `01` for the flags, whatever they were. So in 2.8.2 and 2.9.6."
	denoAlways = "Deno samples everything unless `OTEL_TRACES_SAMPLER` says otherwise, also when the parent is unsampled. " +
		"So in 2.8.2 and 2.9.6; `parentbased_always_on` helps in 2.9.6."
	denoSampler = "Deno 2.8.2 does not read `OTEL_TRACES_SAMPLER`; 2.9.6 does."
	denoNode    = "Deno makes client spans for `node:http`, but no server spans: the program has to extract by itself. So in 2.8.2 and 2.9.6."
	denoNames   = "`Deno.serve` compares the names of header fields case-sensitively over HTTP/1.1, from 2.8.3 to 2.9.6, " +
		"and finds no `Traceparent`. Our transport writes lower-case names."
)

// deno is a program of that version, in a directory with the test's programs.
type deno struct{ program, dir string }

func installDeno(t *testing.T, version string) deno {
	t.Helper()
	modules := npmInstall(t, "deno-"+version, "deno@"+version, "@opentelemetry/api@1.9.0")
	programs, err := filepath.Glob(filepath.Join(modules, "@deno", "*", "deno*"))
	if err != nil || len(programs) != 1 {
		t.Fatalf("programs of deno: %q, %v", programs, err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/deno")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	manifest := []byte(`{"dependencies": {"@opentelemetry/api": "1.9.0"}}`)
	if err := os.WriteFile(filepath.Join(dir, "package.json"), manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	return deno{programs[0], dir}
}

// command runs a program of testdata/deno, which exports to the store.
func (d deno) command(t *testing.T, store, service string, args, env []string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), d.program, append([]string{"run", "--quiet", "--allow-all"}, args...)...)
	cmd.Dir = d.dir
	cmd.Env = append([]string{
		"HOME=" + d.dir, "DENO_DIR=" + filepath.Join(d.dir, "cache"), "DENO_NO_UPDATE_CHECK=1",
		"OTEL_DENO=true", "OTEL_EXPORTER_OTLP_ENDPOINT=" + store, "OTEL_SERVICE_NAME=" + service, "OTEL_BSP_SCHEDULE_DELAY=50",
	}, env...)
	return cmd
}

type denoService struct {
	who           string
	args, env     []string
	through, back losses
}

func denoServices(version string) []denoService {
	respectful := losses{randomFlag: denoFlags, traceState: denoState, levelTwoKeys: denoState}
	if version == "2.8.2" {
		respectful[sampledFlag] = denoSampler
	}
	return []denoService{
		{
			who: "Deno, `Deno.serve` and `fetch`", args: []string{"serve.ts"},
			through: losses{randomFlag: denoFlags, sampledFlag: denoAlways, traceState: denoState, levelTwoKeys: denoState},
		},
		{
			who: "Deno, `parentbased_always_on`", args: []string{"serve.ts"}, env: []string{"OTEL_TRACES_SAMPLER=parentbased_always_on"},
			through: respectful,
		},
		{
			who: "Deno, `node:http`", args: []string{"node.ts"},
			through: all(denoNode, everything...),
			back:    all(denoNode, traceID, parentID),
		},
		{
			who: "Deno, `node:http`, extracted by the program", args: []string{"node.ts", "extract"},
			through: losses{randomFlag: denoFlags, sampledFlag: denoAlways, traceState: denoState, levelTwoKeys: denoState},
		},
	}
}

func TestDeno(t *testing.T) {
	tb := newTable(t, "deno")
	for _, version := range denoVersions {
		d := installDeno(t, version)
		t.Run(version, func(t *testing.T) {
			h := newHouse(t)
			h.shared = true
			for _, theirs := range denoServices(version) {
				url := firstLine(t, d.command(t, h.storeURL, "deno", theirs.args, theirs.env))
				tb.add(t, theirs.who, version, "ours → theirs → ours", h.through(t, url), theirs.through)
				tb.add(t, theirs.who, version, "theirs → ours → theirs", h.back(t, url), theirs.back)
			}
		})
	}
}

// TestDenoHTTP2 has both sides speak HTTP/2 without TLS.
func TestDenoHTTP2(t *testing.T) {
	tb := newTable(t, "deno-h2c")
	for _, version := range denoVersions {
		d := installDeno(t, version)
		t.Run(version, func(t *testing.T) {
			h := newHouse(t)
			h.shared, h.h2c = true, true
			url := firstLine(t, d.command(t, h.storeURL, "deno", []string{"serve.ts", "h2c"}, nil))
			lost := losses{randomFlag: denoFlags, sampledFlag: denoAlways, traceState: denoState, levelTwoKeys: denoState}
			tb.add(t, "Deno over h2c", version, "ours → theirs → ours", h.through(t, url), lost)
			tb.add(t, "Deno over h2c", version, "theirs → ours → theirs", h.back(t, url), nil)
		})
	}
}

// TestDenoHeaderNames sends what a Go client sends that leaves the names in the
// form of net/http, as the stock propagator does.
func TestDenoHeaderNames(t *testing.T) {
	tb := newTable(t, "deno-names")
	for _, version := range denoVersions {
		d := installDeno(t, version)
		t.Run(version, func(t *testing.T) {
			h := newHouse(t)
			url := firstLine(t, d.command(t, h.storeURL, "deno", []string{"serve.ts"}, nil))
			for _, names := range []string{"traceparent", "Traceparent"} {
				sent := tracecontext.NewTraceparent()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				req.Header[names] = []string{sent.String()}
				records := do(t, req)
				id := sent.TraceID()
				var lost losses
				if names == "Traceparent" && version == denoCaseSensitive {
					lost = losses{traceID: denoNames}
				}
				tb.add(t, "Deno, name sent as `"+names+"`", version, "ours → theirs", outcome{traceID: records[0].TraceID == hexID(id[:])}, lost)
			}
		})
	}
}

func do(t *testing.T, req *http.Request) []record {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var records []record
	if err := json.NewDecoder(resp.Body).Decode(&records); err != nil {
		t.Fatal(err)
	}
	return records
}
