package conformance

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// request is one that arrived.
type request struct {
	path   string
	header http.Header
	wire   []byte // the body before it was decompressed
	tls    *tls.ConnectionState
}

// collector keeps what arrives, byte for byte and decoded.
type collector struct {
	otlpreceiver.Store
	stall string // the path whose first request is not answered before its sender gives up, or unstall
	own   string // a path that is served as /v1/traces

	mu        sync.Mutex
	requests  []request
	abandoned chan struct{} // closed when the stalled request was given up
	unstall   chan struct{}
	arrived   chan string // a path each
	once      sync.Once
}

func newCollector() *collector {
	return &collector{abandoned: make(chan struct{}), unstall: make(chan struct{}), arrived: make(chan string, 1000)}
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wire, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.requests = append(c.requests, request{r.URL.Path, r.Header.Clone(), wire, r.TLS})
	c.mu.Unlock()
	select {
	case c.arrived <- r.URL.Path:
	default: // more than any row waits for
	}
	first := false
	if c.stall == r.URL.Path {
		c.once.Do(func() { first = true })
	}
	if first {
		select {
		case <-r.Context().Done():
			close(c.abandoned)
			return
		case <-c.unstall:
		}
	}
	switch r.URL.Path {
	case "/api/v2/spans": // Zipkin
		w.WriteHeader(http.StatusAccepted)
		return
	case "/sampling": // Jaeger
		io.WriteString(w, `{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":1}}`)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(wire))
	if r.URL.Path == c.own {
		r.URL.Path = "/v1/traces"
	}
	if r.Header.Get("Content-Type") == "application/json" {
		if !asProtobuf(r, wire) {
			http.Error(w, "not OTLP in JSON", http.StatusBadRequest)
			return
		}
		w = jsonAnswer{w}
	}
	c.Handler().ServeHTTP(w, r)
}

// jsonAnswer says that the (empty) answer is JSON.
type jsonAnswer struct{ http.ResponseWriter }

func (w jsonAnswer) Write(b []byte) (int, error) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.ResponseWriter.Write([]byte("{}")); err != nil {
		return 0, err
	}
	return len(b), nil
}

var hexID = regexp.MustCompile(`"(traceId|spanId|parentSpanId)":\s*"([0-9a-f]*)"`)

// asProtobuf replaces the JSON body of r by its binary equivalent.
func asProtobuf(r *http.Request, body []byte) bool {
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return false
		}
		if body, err = io.ReadAll(z); err != nil {
			return false
		}
		r.Header.Del("Content-Encoding")
	}
	var m proto.Message = &coltrace.ExportTraceServiceRequest{}
	switch {
	case strings.HasSuffix(r.URL.Path, "/metrics"):
		m = &colmetrics.ExportMetricsServiceRequest{}
	case strings.HasSuffix(r.URL.Path, "/logs"):
		m = &collogs.ExportLogsServiceRequest{}
	}
	body = hexID.ReplaceAllFunc(body, func(match []byte) []byte {
		parts := hexID.FindSubmatch(match)
		id, err := hex.DecodeString(string(parts[2]))
		if err != nil {
			return match
		}
		return []byte(`"` + string(parts[1]) + `":"` + base64.StdEncoding.EncodeToString(id) + `"`)
	})
	if err := protojson.Unmarshal(body, m); err != nil {
		return false
	}
	binary, err := proto.Marshal(m)
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Body = io.NopCloser(bytes.NewReader(binary))
	return true
}

// of returns the requests to a path.
func (c *collector) of(path string) []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []request
	for _, r := range c.requests {
		if r.path == path {
			found = append(found, r)
		}
	}
	return found
}

// files are certificates: of the server that serve starts, and of a client.
type files struct{ ca, cert, key, rules, config, socket string }

// serve starts the collector, with TLS if wanted.
func (c *collector) serve(t *testing.T, secure bool) (url, grpcAddr string, f files) {
	t.Helper()
	server := httptest.NewUnstartedServer(c)
	dir := t.TempDir()
	f.config = filepath.Join(dir, "otel.yaml")
	f.rules = filepath.Join(dir, "rules.yaml")
	short, err := os.MkdirTemp("", "clew") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	f.socket = filepath.Join(short, "otel.sock")
	if err := os.WriteFile(f.rules, []byte("rules:\n  - name: work\n    sample: always\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !secure {
		server.Start()
		t.Cleanup(server.Close)
		return server.URL, c.serveGRPC(t, server, f.socket), f
	}
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = discardLog
	server.StartTLS()
	t.Cleanup(server.Close)
	f.ca, f.cert, f.key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "client.pem"), filepath.Join(dir, "client-key.pem")
	writePEM(t, f.ca, "CERTIFICATE", server.Certificate().Raw)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, f.cert, "CERTIFICATE", cert)
	writePEM(t, f.key, "PRIVATE KEY", der)
	return server.URL, c.serveGRPC(t, server, f.socket), f
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
