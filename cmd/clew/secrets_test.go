package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/settings"
)

// planted is a text that is found again wherever it is written.
const planted = "S3cr3tV4lue"

// secretURLs are URLs with secrets, well-formed ones and others. {at} is where somebody listens.
var secretURLs = []string{
	"http://user:" + planted + "@{at}", "http://" + planted + "@{at}", "http://{at}/?token=" + planted + "#" + planted,
	"http://user:" + planted + "%zz@{at}/", "http://{at}:port/p?x=" + planted + "#" + planted, "ftp://user:" + planted + "@{at}/?x=" + planted,
	"user:" + planted + "@{at}", "http://user:a/b " + planted + "@{at}/",
}

func lookForSecrets(t *testing.T, written string) {
	t.Helper()
	if written == "" {
		t.Error("nothing was written")
	}
	for line := range strings.Lines(written) {
		if strings.Contains(line, "invalid limit environment variable") {
			continue // said by go.opentelemetry.io/auto/sdk, which reads the variables of limits before main
		}
		for _, secret := range []string{planted, base64.StdEncoding.EncodeToString([]byte("user:" + planted)[:15])} {
			if i := strings.Index(strings.ToLower(line), strings.ToLower(secret)); i >= 0 {
				t.Errorf("written: ...%.300s", line[max(0, i-150):])
			}
		}
	}
}

// TestSecretsInArguments gives every argument that takes a URL or an address
// secrets: what the command prints holds none.
func TestSecretsInArguments(t *testing.T) {
	closed := answers(t, http.StatusTeapot, "text/plain", "no")
	for _, secretURL := range secretURLs {
		secretURL = strings.ReplaceAll(secretURL, "{at}", strings.TrimPrefix(closed, "http://"))
		for _, args := range [][]string{
			{"tail", "-from", secretURL}, {"tail", "-from", secretURL, "-trace", traceIDOf(1)}, {"doctor", "-tempo", secretURL}, {"doctor", "-json", "-jaeger", secretURL},
			{"view", "-page", secretURL}, {"view", "-page", "127.0.0.1:0", "-http", secretURL}, {"view", "-memory", secretURL},
			{"view", "-cors-origin", secretURL, "-page", "x"}, {"view", "-allow-host", secretURL, "-page", "x"}, {"view", "-file", secretURL + "/none/x", "-page", "x"}, {"view", secretURL},
			{"demo", secretURL}, {"completion", secretURL}, {"tail", "-" + secretURL},
		} {
			var out bytes.Buffer
			run(t.Context(), args, stdio{strings.NewReader(""), &out, &out})
			if out.Len() > 0 {
				t.Run(strings.Join(args[:2], " ")+" "+secretURL, func(t *testing.T) { lookForSecrets(t, out.String()) })
			}
		}
	}
	headers := "Authorization: Bearer " + planted + "\nCookie: session=" + planted + "\nGET /?token=" + planted + "\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"
	var out bytes.Buffer
	run(t.Context(), []string{"decode"}, stdio{strings.NewReader(headers), &out, &out})
	lookForSecrets(t, out.String())
}

// TestSecretsOfTheDoctor plants a secret in every variable, and in what
// receivers answer.
func TestSecretsOfTheDoctor(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\n"+planted+"\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	repeats := answers(t, http.StatusBadRequest, "text/plain", "no {authorization}, and no {query}")
	redirects := answers(t, http.StatusFound, "text/plain", "http://user:"+planted+"@127.0.0.1:1/?token="+planted+"#"+planted)
	misleads := answers(t, http.StatusFound, "text/plain", "http://user:"+planted+"%zz@127.0.0.1:port/?x="+planted)
	overGRPC := answersGRPC(t)
	headers := "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20" + planted + ",x-tenant=" + planted
	environments := map[string][]string{
		"repeats": {"OTEL_EXPORTER_OTLP_ENDPOINT=" + repeats, headers}, "redirects": {"OTEL_EXPORTER_OTLP_ENDPOINT=" + redirects, headers},
		"repeats the URL": {"OTEL_EXPORTER_OTLP_ENDPOINT=" + strings.Replace(repeats, "//", "//user:"+planted+"@", 1), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + repeats + "/v1/traces?x=" + planted[:4] + "&token=" + planted},
		"misleads":        {"OTEL_EXPORTER_OTLP_ENDPOINT=" + misleads, headers},
		"gRPC":            {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + overGRPC, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", headers},
		"bad header":      {"OTEL_EXPORTER_OTLP_ENDPOINT=" + repeats, "OTEL_EXPORTER_OTLP_HEADERS=" + planted},
		"key":             {"OTEL_EXPORTER_OTLP_ENDPOINT=https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CLIENT_KEY=" + key, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + key},
	}
	for i, value := range append([]string{"authorization=Bearer " + planted, "-----BEGIN PRIVATE KEY-----\n" + planted + "\n-----END PRIVATE KEY-----"}, secretURLs...) {
		value = strings.ReplaceAll(value, "{at}", "127.0.0.1:1")
		var all []string
		for _, v := range settings.Variables() {
			all = append(all, v.Name+"="+value)
		}
		proxied := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.invalid:1"}
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy"} {
			all = append(all, name+"="+value)
			proxied = append(proxied, name+"="+value)
		}
		environments[fmt.Sprintf("every variable %d", i)] = all
		environments[fmt.Sprintf("proxies %d", i)] = proxied
		environments[fmt.Sprintf("proxies of gRPC %d", i)] = append(proxied, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.invalid:1")
	}
	var store otlpreceiver.Store
	receiver := httptest.NewServer(store.Handler())
	t.Cleanup(receiver.Close)
	for i, secretURL := range secretURLs[:3] {
		t.Run(fmt.Sprintf("read back %d", i), func(t *testing.T) {
			t.Parallel()
			base := strings.ReplaceAll(secretURL, "{at}", strings.TrimPrefix(repeats, "http://"))
			out, _ := program(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL}, "doctor", "-tempo", base, "-jaeger", base).CombinedOutput() //nolint:errcheck // it fails
			lookForSecrets(t, string(out))
		})
	}
	for name, env := range environments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, args := range [][]string{{"doctor"}, {"doctor", "-json"}} {
				out, _ := program(t, append([]string{"OTEL_EXPORTER_OTLP_TIMEOUT=2000"}, env...), args...).CombinedOutput() //nolint:errcheck // it fails
				lookForSecrets(t, string(out))
			}
		})
	}
}

// answersGRPC refuses every call, and repeats its headers.
func answersGRPC(t *testing.T) (address string) {
	t.Helper()
	return listen(t, func(l net.Listener) {
		server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
			md, _ := metadata.FromIncomingContext(s.Context())
			return grpcstatus.Error(codes.Unauthenticated, fmt.Sprint(md))
		}))
		stop := context.AfterFunc(t.Context(), server.Stop)
		defer stop()
		server.Serve(l) //nolint:errcheck // ends with the test
	})
}
