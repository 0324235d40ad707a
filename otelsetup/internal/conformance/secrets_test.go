package conformance

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/internal/workload"
	"github.com/clewtrace/clew/otelsetup"
)

// reportEnv makes the program print its report instead of working.
const reportEnv = "CONFORMANCE_REPORT"

// report starts telemetry, and prints what it runs with as text and as JSON.
func report() {
	ctx := context.Background()
	telemetry, err := otelsetup.Start(ctx)
	if err != nil {
		fmt.Println(err)
	}
	r := telemetry.Report()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%v\n%+v\n", r, r)
	ended, end := context.WithCancel(ctx)
	end()
	if err := telemetry.Shutdown(ended); err != nil {
		fmt.Println(err)
	}
}

// planted is a text that is found again wherever it is written.
const planted = "S3cr3tV4lue"

// secret returns the secret of a place, which tells where a leak comes from.
func secret(place string) string { return planted + strings.ReplaceAll(place, "_", "") }

// shapes are values that hold a secret, {s}, as people paste them into variables.
var shapes = []string{
	"http://user:{s}@127.0.0.1:1/p",
	"http://{s}@127.0.0.1:1/p",
	"http://127.0.0.1:1/p?token={s}&api_key={s}#{s}",
	"http://127.0.0.1:port/p?x={s}#{s}",
	"http://user:{s}%zz@127.0.0.1:1/p",
	"http://user:a/b {s}@127.0.0.1:1/p",
	"ftp://user:{s}@127.0.0.1/p?x={s}",
	"user:{s}@127.0.0.1:1",
	"authorization=Bearer {s}",
	"authorization=Bearer%20{s},x-api-key={s}",
	"endpoint=http://user:{s}@127.0.0.1:1/?x={s},pollingIntervalMs=x",
	"-----BEGIN PRIVATE KEY-----\n{s}\n-----END PRIVATE KEY-----",
	"{s}", // only for headers and keys: other variables are quoted as they were found
}

// proxies are the variables of package net/http. It is no part of what telemetry reads, but fails
// with their values in its words.
var proxies = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// plant gives every variable but some a value of the shape.
func plant(shape string, but ...string) (env []string) {
	for _, v := range settings.Variables() {
		opaque := shape == "{s}" && !strings.HasSuffix(v.Name, "_HEADERS")
		if opaque || slices.ContainsFunc(but, func(part string) bool { return strings.Contains(v.Name, part) }) {
			continue
		}
		env = append(env, v.Name+"="+strings.ReplaceAll(shape, "{s}", secret(v.Name)))
	}
	if shape == "{s}" {
		return env
	}
	for _, name := range proxies {
		env = append(env, name+"="+strings.ReplaceAll(shape, "{s}", secret(name)))
	}
	return env
}

// TestSecretsInVariables plants a secret in every variable, and looks for it in
// all that the program prints, and in its report.
func TestSecretsInVariables(t *testing.T) {
	for _, shape := range shapes {
		ways := map[string][]string{
			"report": append(plant(shape), reportEnv+"=1"),
			"log": append(plant(shape, "CONFIG_FILE", "TRACES_SAMPLER"), "OTEL_LOG_LEVEL=debug", "CLEW_DELIVERY_REFUSED_TIMEOUT=1",
				"OTEL_TRACES_SAMPLER=rules", "OTEL_TRACES_SAMPLER_ARG="+strings.ReplaceAll(shape, "{s}", secret("SAMPLERARG"))),
		}
		if strings.Contains(shape, "127.0.0.1") {
			ways["gRPC"] = append(plant(shape, "CONFIG_FILE", "PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "CLEW_DELIVERY_REFUSED_TIMEOUT=1")
		}
		if shape == "{s}" {
			ways["log"] = append(plant(shape), "OTEL_LOG_LEVEL=debug", "CLEW_DELIVERY_REFUSED_TIMEOUT=1")
		}
		for way, env := range ways {
			t.Run(way+" "+shape, func(t *testing.T) {
				t.Parallel()
				lookForSecrets(t, secretly(t, env...))
			})
		}
	}
}

// secretly runs the program, and returns all that it prints.
func secretly(t *testing.T, env ...string) string {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary())
	cmd.Dir = t.TempDir()
	cmd.Env = append(environment(), append([]string{workload.TargetEnv + "=" + target.URL, "CLEW_DELIVERY_REFUSED_TIMEOUT=1"}, env...)...)
	out, err := cmd.CombinedOutput()
	finish(t, err)
	if len(out) == 0 {
		t.Error("the program printed nothing")
	}
	return string(out)
}

// byDesign are what may stand in a line with a secret.
var byDesign = []string{
	"invalid limit environment variable", // said by go.opentelemetry.io/auto/sdk, which reads the variables of limits before main
	"PeriodicReader collection",          // said by the SDK at level debug: what it exports, and so the attributes of the resource
}

// lookForSecrets tells which secrets are in what was written.
func lookForSecrets(t *testing.T, written string) {
	t.Helper()
	for line := range strings.Lines(written) {
		if slices.ContainsFunc(byDesign, func(words string) bool { return strings.Contains(line, words) }) {
			continue
		}
		for _, text := range []string{planted, base64.StdEncoding.EncodeToString([]byte("user:" + planted)[:15])} {
			if i := strings.Index(strings.ToLower(line), strings.ToLower(text)); i >= 0 {
				t.Errorf("written: ...%.300s", line[max(0, i-150):])
			}
		}
	}
}

// TestSecretsThatACollectorRepeats: what a collector answers may repeat the
// headers that it was sent, and what it exports nowhere holds them.
func TestSecretsThatACollectorRepeats(t *testing.T) {
	headers := "authorization=Bearer%20" + secret("authorization") + ",x-tenant=" + secret("tenant")
	for name, answer := range map[string]func(http.ResponseWriter, string){
		"taken":       func(http.ResponseWriter, string) {},
		"refused":     func(w http.ResponseWriter, said string) { http.Error(w, said, http.StatusUnauthorized) },
		"bad":         func(w http.ResponseWriter, said string) { http.Error(w, said, http.StatusBadRequest) },
		"unavailable": func(w http.ResponseWriter, said string) { http.Error(w, said, http.StatusServiceUnavailable) },
		"another page": func(w http.ResponseWriter, said string) {
			w.Header().Set("Content-Type", "text/"+said)
			io.WriteString(w, said)
		},
		"partly": func(w http.ResponseWriter, said string) {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(map[string]any{"partialSuccess": map[string]any{"rejectedSpans": "1", "errorMessage": said}}) //nolint:errcheck,errchkjson // the client may be gone
		},
		"redirect": func(w http.ResponseWriter, said string) {
			w.Header().Set("Location", "http://user:"+secret("location")+"@127.0.0.1:1/p?x="+url.QueryEscape(said)+"#"+secret("fragment"))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"bad redirect": func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", "http://user:"+secret("location")+"%zz@127.0.0.1:port/p?x="+secret("query"))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"hangs up": func(http.ResponseWriter, string) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			seen := map[string]bool{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				again := seen[r.URL.Path]
				seen[r.URL.Path] = true
				mu.Unlock()
				body, _ := io.ReadAll(r.Body) //nolint:errcheck // what arrived
				if bytes.Contains(body, []byte(planted)) {
					t.Error("a body holds a secret")
				}
				if again { // so that an outage ends
					return
				}
				answer(w, fmt.Sprintf("%s %s %s", r.Header.Get("Authorization"), r.Header.Get("X-Tenant"), r.URL.RawQuery))
			}))
			defer server.Close()
			endpoint := strings.Replace(server.URL, "//", "//user:"+secret("userinfo")+"@", 1)
			for _, env := range [][]string{
				{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL, "OTEL_EXPORTER_OTLP_HEADERS=" + headers},
				{"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint + "/?q=" + secret("query"), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + endpoint + "/v1/traces?q=" + secret("query") + "#" + secret("fragment")},
			} {
				mu.Lock()
				clear(seen)
				mu.Unlock()
				lookForSecrets(t, secretly(t, append(env, "OTEL_LOG_LEVEL=debug")...))
			}
		})
	}
}

// TestSecretsThatAGRPCCollectorRepeats is the same over gRPC.
func TestSecretsThatAGRPCCollectorRepeats(t *testing.T) {
	for _, code := range []codes.Code{codes.Unauthenticated, codes.InvalidArgument, codes.Unavailable, codes.ResourceExhausted} {
		var calls atomic.Int64
		address := grpcAnswers(t, func(ctx context.Context) error {
			md, _ := metadata.FromIncomingContext(ctx)
			if calls.Add(1) > 3 { // so that an outage ends, with INTERNAL
				return nil
			}
			return status.Error(code, fmt.Sprint(md))
		})
		lookForSecrets(t, secretly(t, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+address, "OTEL_LOG_LEVEL=debug",
			"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20"+secret("authorization")+",x-tenant="+secret("tenant")))
	}
}

// grpcAnswers serves one answer to every call.
func grpcAnswers(t *testing.T, answer func(context.Context) error) (address string) {
	t.Helper()
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error { return answer(s.Context()) }))
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { server.Stop(); <-served })
	return l.Addr().String()
}

// TestSecretsInFiles plants secrets in files, which are good, bad, or none of what they are taken for.
func TestSecretsInFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	configuration := func(endpoint string) string {
		return "file_format: \"1.0\"\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n          otlp_http:\n            endpoint: \"" + endpoint +
			"\"\n            headers:\n              - name: authorization\n                value: Bearer " + secret("header") +
			"\n            headers_list: x-tenant=" + secret("headerslist") + "\n"
	}
	for name, env := range map[string][]string{
		"a configuration":              {"OTEL_CONFIG_FILE=" + file("good.yaml", configuration("http://user:"+secret("userinfo")+"@127.0.0.1:1/v1/traces?token="+secret("query")))},
		"one with a bad URL":           {"OTEL_CONFIG_FILE=" + file("bad.yaml", configuration("http://user:"+secret("userinfo")+"%zz@127.0.0.1:x/v1/traces?q="+secret("query")))},
		"one with a token of the user": {"OTEL_CONFIG_FILE=" + file("token.yaml", configuration("http://"+secret("userinfo")+"@127.0.0.1:x/v1/traces#"+secret("fragment")))},
		"headers that are no list":     {"OTEL_CONFIG_FILE=" + file("headers.yaml", strings.Replace(configuration("http://127.0.0.1:1"), "x-tenant=", "", 1))},
		"not YAML":                     {"OTEL_CONFIG_FILE=" + file("not.yaml", "password: "+secret("yaml")+"\n\t- [{\n: "+secret("line")+"\n")},
		"a key as a configuration":     {"OTEL_CONFIG_FILE=" + file("key.yaml", "-----BEGIN PRIVATE KEY-----\n"+secret("pem")+"\n-----END PRIVATE KEY-----\n")},
		"a key as rules":               {"OTEL_TRACES_SAMPLER=rules", "OTEL_TRACES_SAMPLER_ARG=" + file("rules.yaml", "-----BEGIN PRIVATE KEY-----\n"+secret("pem")+"\n-----END PRIVATE KEY-----\n")},
		"a bad key": {"OTEL_EXPORTER_OTLP_CLIENT_KEY=" + file("key.pem", "-----BEGIN PRIVATE KEY-----\n"+secret("pem")+"\n-----END PRIVATE KEY-----\n"),
			"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + file("cert.pem", secret("certificate")), "OTEL_EXPORTER_OTLP_CERTIFICATE=" + file("ca.pem", secret("ca"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lookForSecrets(t, secretly(t, append(env, reportEnv+"=1")...))
			if !strings.HasPrefix(env[0], "OTEL_CONFIG_FILE") {
				env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
			}
			lookForSecrets(t, secretly(t, append(env, "OTEL_LOG_LEVEL=debug")...))
		})
	}
}

// TestSecretsInTheSpool: what waits on disk for the next start holds no
// credentials of the collector that it could not reach.
func TestSecretsInTheSpool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		lookForSecrets(t, secretly(t, "CLEW_DELIVERY_SPOOL_DIR="+dir, "CLEW_DELIVERY_JOURNAL=true", "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol,
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:"+secret("userinfo")+"@127.0.0.1:1/p?token="+secret("query")+"#"+secret("fragment"),
			"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20"+secret("authorization")+",x-tenant="+secret("tenant")))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		size += len(content)
		if strings.Contains(string(content), planted) {
			t.Errorf("%s holds a secret", entry.Name())
		}
	}
	if size == 0 {
		t.Error("nothing was kept")
	}
}
