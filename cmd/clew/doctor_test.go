package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/clewtrace/clew/internal/doctor"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/settings"
)

// process runs the command as a process with nothing but env in its environment.
func process(t *testing.T, env []string, args ...string) (stdout string, code int) {
	t.Helper()
	out, err := program(t, env, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append([]string{runsMain + "=1", "PATH=" + os.Getenv("PATH"), "OTEL_SERVICE_NAME=shop"}, env...)
	return cmd
}

// examine returns what the doctor finds.
func examine(t *testing.T, env []string, args ...string) doctor.Result {
	t.Helper()
	out, code := process(t, env, append([]string{"doctor", "-json"}, args...)...)
	var r doctor.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if (code == 0) != r.OK || code > 1 || r.OK != (len(r.Problems) == 0) {
		t.Errorf("exit code %d, ok %v, %d problems", code, r.OK, len(r.Problems))
	}
	return r
}

// listen serves on a free loopback port until the test ends.
func listen(t *testing.T, serve func(net.Listener)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); serve(l) }()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

// silent accepts connections and does no more.
func silent(l net.Listener) {
	var open []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		open = append(open, c)
	}
	for _, c := range open {
		c.Close()
	}
}

func answers(t *testing.T, code int, contentType, body string) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if code/100 == 3 {
			w.Header().Set("Location", body)
		}
		w.WriteHeader(code)
		io.WriteString(w, strings.NewReplacer("{authorization}", r.Header.Get("Authorization"), "{query}", r.URL.RawQuery).Replace(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// authority makes certificates that it signs.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = template, newKey(t)
	der := a.sign(t, template, a.key)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// issue makes a certificate for the loopback address, or for another name.
func (a authority) issue(t *testing.T, name string, notAfter time.Time) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "collector"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	return tls.Certificate{Certificate: [][]byte{a.sign(t, template, key)}, PrivateKey: key}
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func serveTLS(t *testing.T, config *tls.Config) (address string, store *otlpreceiver.Store) {
	t.Helper()
	store = &otlpreceiver.Store{}
	server := httptest.NewUnstartedServer(store.Handler())
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), store
}

// TestDoctorShowsAClientCertificate to a server that wants one, and says that the
// program needs an import to do so.
func TestDoctorShowsAClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	server, store := serveTLS(t, &tls.Config{ //nolint:gosec // a test
		Certificates: []tls.Certificate{ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	own := ca.issue(t, "client.example", time.Now().Add(time.Hour))
	certificate, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certificate, "CERTIFICATE", own.Certificate[0])
	writePEM(t, key, "PRIVATE KEY", der)
	r := examine(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + server, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + ca.file,
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + certificate, "OTEL_EXPORTER_OTLP_CLIENT_KEY=" + key,
	})
	if !r.OK || len(store.Spans()) != 1 {
		t.Errorf("%d spans arrived: %+v", len(store.Spans()), r)
	}
	if !slices.ContainsFunc(r.Notes, func(n string) bool {
		return strings.HasSuffix(n, "_CLIENT_CERTIFICATE="+certificate+" needs the program to import github.com/clewtrace/clew/otelsetup/clientcert")
	}) {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestDoctorFindsAReceiverWell(t *testing.T) {
	ca := newAuthority(t)
	loopback := ca.issue(t, "127.0.0.1", time.Now().Add(90*24*time.Hour))
	var plain otlpreceiver.Store
	http1 := httptest.NewServer(plain.Handler())
	defer http1.Close()
	secure, secureStore := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{loopback}}) //nolint:gosec // a test
	grpcPlain, grpcStore := grpcServer(t)
	grpcTLS, grpcTLSStore := grpcServer(t, loopback)
	socket, socketStore := grpcSocket(t)
	for _, test := range []struct {
		name  string
		env   []string
		store *otlpreceiver.Store
		steps string
	}{
		{"protobuf", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + http1.URL}, &plain, "connect traces metrics logs"},
		{"JSON, compressed", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + http1.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}, &plain, "connect traces metrics logs"},
		{"by name", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + strings.Replace(http1.URL, "127.0.0.1", "localhost", 1)}, &plain, "resolve connect traces metrics logs"},
		{"TLS", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + secure, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + ca.file}, secureStore, "connect tls traces metrics logs"},
		{"gRPC", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + grpcPlain, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}, grpcStore, "connect traces metrics logs"},
		{"gRPC over TLS", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + grpcTLS, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_CERTIFICATE=" + ca.file}, grpcTLSStore, "connect tls traces metrics logs"},
		{"a target of gRPC", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=dns:///" + grpcPlain, "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, grpcStore, "connect traces metrics logs"},
		{"a unix socket, no limit", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=unix://" + socket, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TIMEOUT=0", "OTEL_BSP_EXPORT_TIMEOUT=0"}, socketStore, "connect traces metrics logs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			spans, metrics, logs := len(test.store.Spans()), len(test.store.Metrics()), len(test.store.Logs())
			r := examine(t, test.env)
			if !r.OK || len(r.Endpoints) != 1 {
				t.Fatalf("%+v", r)
			}
			var steps []string
			for _, s := range r.Endpoints[0].Steps {
				steps = append(steps, s.Name)
				if !s.OK || s.Milliseconds <= 0 {
					t.Errorf("%+v", s)
				}
				if s.Name == "tls" && !strings.Contains(s.Detail, "CN=collector for 127.0.0.1, expires "+time.Now().Add(90*24*time.Hour).UTC().Format(time.DateOnly)) {
					t.Errorf("certificate: %s", s.Detail)
				}
			}
			if got := strings.Join(steps, " "); got != test.steps {
				t.Errorf("steps %s, want %s", got, test.steps)
			}
			if len(test.store.Spans()) != spans+1 || len(test.store.Metrics()) != metrics+1 || len(test.store.Logs()) != logs+1 {
				t.Fatal("not one of each was received")
			}
			span := test.store.Spans()[spans]
			if hex.EncodeToString(span.GetTraceId()) != r.TraceID || span.Service() != "shop" {
				t.Errorf("trace %x of %s, told %s", span.GetTraceId(), span.Service(), r.TraceID)
			}
		})
	}
}

func TestDoctorReadsAConfigurationFile(t *testing.T) {
	var store otlpreceiver.Store
	receiver := httptest.NewServer(store.Handler())
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "otel.yaml")
	const exporter = "\n  processors:\n    - batch:\n        exporter:\n          otlp_http:\n            endpoint: "
	content := "file_format: \"1.0\"\ntracer_provider:" + exporter + receiver.URL + "/v1/traces\nlogger_provider:" + exporter + receiver.URL + "/v1/nothing\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	r := examine(t, []string{"OTEL_CONFIG_FILE=" + file})
	if len(store.Spans()) != 1 || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Cure, "logger_provider.processors[0].batch.exporter.otlp_http.endpoint is used as it is") {
		t.Errorf("%d spans, %+v", len(store.Spans()), r.Problems)
	}
	if len(r.Notes) == 0 || !slices.Contains(r.Notes, "OTEL_CONFIG_FILE="+file+" needs the program to import github.com/clewtrace/clew/otelsetup/configfile") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	day := 24 * time.Hour
	tlsWith := func(name string, notAfter time.Time, config *tls.Config) string {
		config.Certificates = []tls.Certificate{ca.issue(t, name, notAfter)}
		address, _ := serveTLS(t, config)
		return "OTEL_EXPORTER_OTLP_ENDPOINT=https://" + address
	}
	trusting := "OTEL_EXPORTER_OTLP_CERTIFICATE=" + ca.file
	good := httptest.NewServer(new(otlpreceiver.Store).Handler())
	t.Cleanup(good.Close)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	secure := tlsWith("127.0.0.1", time.Now().Add(day), &tls.Config{}) //nolint:gosec // a test
	grpcAddress, _ := grpcServer(t)
	none := grpc.NewServer()
	noService := listen(t, func(l net.Listener) { none.Serve(l) }) //nolint:errcheck // ends when stopped
	t.Cleanup(none.Stop)
	guarded := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return grpcstatus.Error(codes.Unauthenticated, "no token") }))
	guardedAddress := listen(t, func(l net.Listener) { guarded.Serve(l) }) //nolint:errcheck // ends when stopped
	t.Cleanup(guarded.Stop)
	endpoint := func(url string) string { return "OTEL_EXPORTER_OTLP_ENDPOINT=" + url }
	closed, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	refused := closed.Addr().String()
	closed.Close()
	const overGRPC = "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
	for _, test := range []struct {
		name          string
		env           []string
		problem, cure string // regular expressions
		count         int    // of problems
	}{
		{"refused port", []string{endpoint("http://" + refused)}, `nothing listens on ` + refused, `start the receiver there, or set OTEL_EXPORTER_OTLP_ENDPOINT`, 1},
		{"refused port over gRPC", []string{endpoint("http://" + refused), overGRPC}, `nothing listens on `, `start the receiver`, 1},
		{"black hole", []string{endpoint("http://" + listen(t, silent)), "OTEL_EXPORTER_OTLP_TIMEOUT=300"}, `traces to .*: connected, and no answer within 300ms`, `raise OTEL_EXPORTER_OTLP_TIMEOUT`, 3},
		{"black hole over gRPC", []string{endpoint("http://" + listen(t, silent)), overGRPC, "OTEL_EXPORTER_OTLP_TIMEOUT=300"}, `connected, and no answer within 300ms`, `raise`, 3},
		{"black hole under TLS", []string{endpoint("https://" + listen(t, silent)), "OTEL_EXPORTER_OTLP_TIMEOUT=300"}, `no TLS connection`, `look at what the server logs`, 1},
		{"unknown host", []string{endpoint("http://collector.invalid:4318")}, `there is no host called collector.invalid|cannot be resolved`, `correct the host in OTEL_EXPORTER_OTLP_ENDPOINT`, 1},
		{"401 without headers", []string{endpoint(answers(t, 401, "text/plain", "who are you?"))}, `401 Unauthorized "who are you\?": the receiver wants credentials, and none are sent`, `set OTEL_EXPORTER_OTLP_HEADERS`, 3},
		{"401 with headers", []string{endpoint(answers(t, 401, "text/plain", "no: {authorization}")), "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20s3cr3t"}, `401 Unauthorized "no: \*+": the credentials are not accepted`, `correct OTEL_EXPORTER_OTLP_HEADERS`, 3},
		{"401 over gRPC", []string{endpoint("http://" + guardedAddress), overGRPC}, `Unauthenticated "no token": the receiver wants credentials`, `set OTEL_EXPORTER_OTLP_HEADERS`, 3},
		{"404, the signal's path twice", []string{endpoint(good.URL + "/v1/traces")}, `404 Not Found.*: nothing takes traces at the path /v1/traces/v1/traces`, `leave /v1/\.\.\. out of OTEL_EXPORTER_OTLP_ENDPOINT`, 3},
		{"404, no path", []string{endpoint(good.URL), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + good.URL}, `404 Not Found.*: nothing takes traces at the path /$`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is.*ends in /v1/traces`, 1},
		{"404, a wrong path", []string{endpoint(good.URL + "/otlp")}, `the path /otlp/v1/traces`, `/v1/traces is added to OTEL_EXPORTER_OTLP_ENDPOINT: correct the path before it`, 3},
		{"a redirect", []string{endpoint(answers(t, 307, "text/plain", "https://example.com/"))}, `redirects to https://example.com/`, `set OTEL_EXPORTER_OTLP_ENDPOINT to where it leads`, 3},
		{"415", []string{endpoint(answers(t, 415, "text/plain", "")), "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"}, `does not take JSON`, `set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf`, 3},
		{"503", []string{endpoint(answers(t, 503, "application/json", `{"message":"starting"}`))}, `503 Service Unavailable "starting"`, `try again`, 3},
		{"a web page", []string{endpoint(answers(t, 200, "text/html", "<html>"))}, `the answer is not OTLP's but a web page`, `something else listens`, 3},
		{"a part refused", []string{endpoint(answers(t, 200, "application/json", `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}`)), "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none"}, `accepted, and then left out: too old`, `do what the receiver asks for`, 1},
		{"unknown authority", []string{secure}, `signed by CN=Test Authority, which is not trusted here: CN=collector for 127\.0\.0\.1, expires 20`, `set OTEL_EXPORTER_OTLP_CERTIFICATE to a PEM file`, 1},
		{"another authority", []string{secure, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + other.file}, `signed by CN=Test Authority`, `holds other certificates`, 1},
		{"unknown authority over gRPC", []string{secure, overGRPC}, `signed by CN=Test Authority`, `set OTEL_EXPORTER_OTLP_CERTIFICATE`, 1},
		{"expired certificate", []string{tlsWith("127.0.0.1", time.Now().Add(-day), &tls.Config{}), trusting}, `the certificate has expired`, `renew the server's certificate`, 1},                                                                                                                             //nolint:gosec // a test
		{"another name", []string{tlsWith("collector.example", time.Now().Add(day), &tls.Config{}), trusting}, `the certificate is for another name: CN=collector for collector\.example`, `use one of its names \(collector\.example\) in OTEL_EXPORTER_OTLP_ENDPOINT`, 1},                                    //nolint:gosec // a test
		{"client certificate", []string{tlsWith("127.0.0.1", time.Now().Add(day), &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}), trusting}, `the server wants a certificate from its client`, `set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY`, 3}, //nolint:gosec // a test
		{"TLS asked of a plain port", []string{endpoint("https://" + strings.TrimPrefix(good.URL, "http://"))}, `the port does not speak TLS`, `write http:// in OTEL_EXPORTER_OTLP_ENDPOINT`, 1},
		{"no socket", []string{endpoint("unix:///nowhere/otel.sock"), overGRPC}, `unix:///nowhere/otel.sock: there is no socket /nowhere/otel.sock`, `start the receiver there, or set OTEL_EXPORTER_OTLP_ENDPOINT`, 1},
		{"TLS asked of a plain gRPC port", []string{endpoint("https://" + grpcAddress), overGRPC}, `the port does not speak TLS`, `write http://`, 1},
		{"no TLS to a TLS port", []string{strings.Replace(secure, "https", "http", 1)}, `the port speaks TLS`, `write https:// in OTEL_EXPORTER_OTLP_ENDPOINT`, 3},
		{"no TLS to a TLS port over gRPC", []string{strings.Replace(secure, "https", "http", 1), overGRPC}, `the port speaks TLS`, `write https://`, 3},
		{"HTTP to a gRPC port", []string{endpoint("http://" + grpcAddress)}, `the port speaks gRPC, and OTLP/HTTP was sent`, `set OTEL_EXPORTER_OTLP_PROTOCOL to grpc, or use the receiver's OTLP/HTTP port, 4318`, 3},
		{"gRPC to an HTTP port", []string{endpoint(good.URL), overGRPC}, `the port speaks HTTP/1.1, and gRPC was sent`, `set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or use the receiver's OTLP/gRPC port, 4317`, 3},
		{"gRPC to an HTTP/2 port under TLS", []string{secure, overGRPC, trusting}, `the port speaks HTTP, not gRPC`, `set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf`, 3},
		{"no such service over gRPC", []string{endpoint("http://" + noService), overGRPC}, `the receiver does not take traces`, `OTEL_TRACES_EXPORTER=none`, 3},
		{"bad values", []string{endpoint(good.URL), "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=1.5", "OTEL_BSP_SCHEDULE_DELAY=5s"}, `OTEL_TRACES_SAMPLER_ARG="1.5": ratio must be between 0 and 1; using 1`, `change OTEL_TRACES_SAMPLER_ARG to what the message accepts`, 2},
		{"bad endpoint", []string{endpoint(good.URL), "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=localhost:4318", "OTEL_LOGS_EXPORTER=otlp"}, `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="localhost:4318": must be a URL`, `set OTEL_EXPORTER_OTLP_LOGS_ENDPOINT to a whole URL`, -1},
		{"bad value for a program of clew go", []string{endpoint(good.URL), "CLEW_AUTO_EXIT_TIMEOUT=soon"}, `CLEW_AUTO_EXIT_TIMEOUT="soon": must be a whole number of milliseconds`, `change CLEW_AUTO_EXIT_TIMEOUT to what the message accepts`, 1},
		{"misspelt variable", []string{endpoint(good.URL), "OTEL_EXPORTER_OLTP_HEADERS=a=b"}, `OTEL_EXPORTER_OLTP_HEADERS: not a variable that is read; did you mean OTEL_EXPORTER_OTLP_HEADERS?`, `correct the name`, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, test.env)
			found := slices.ContainsFunc(r.Problems, func(p doctor.Problem) bool {
				return regexp.MustCompile(test.problem).MatchString(p.Problem) && regexp.MustCompile(test.cure).MatchString(p.Cure)
			})
			if !found || test.count >= 0 && len(r.Problems) != test.count {
				t.Errorf("no problem %q with the cure %q, or not %d problems:\n%+v", test.problem, test.cure, test.count, r.Problems)
			}
			if text := fmt.Sprintf("%+v", r); strings.Contains(text, "s3cr3t") {
				t.Errorf("the credentials are shown: %s", text)
			}
		})
	}
}

func TestDoctorPrintsText(t *testing.T) {
	good := httptest.NewServer(new(otlpreceiver.Store).Handler())
	defer good.Close()
	endpoint := "OTEL_EXPORTER_OTLP_ENDPOINT=" + good.URL
	well, code := process(t, []string{endpoint}, "doctor")
	if code != 0 || !regexp.MustCompile(`(?s)OTEL_EXPORTER_OTLP_TRACES_ENDPOINT +`+good.URL+`/v1/traces +OTEL_EXPORTER_OTLP_ENDPOINT\n.*\n  ok    traces +[0-9.]+ ms  POST /v1/traces 200 OK\n.*No problems\n$`).MatchString(well) {
		t.Errorf("code %d\n%s", code, well)
	}
	ill, code := process(t, []string{endpoint, "OTEL_BSP_MAX_QUEUE_SIZE=many"}, "doctor")
	if code != 1 || !regexp.MustCompile(`Problems\n  OTEL_BSP_MAX_QUEUE_SIZE="many": must be a whole number from 1 to 1048576; using no limit\n    cure: change OTEL_BSP_MAX_QUEUE_SIZE`).MatchString(ill) {
		t.Errorf("code %d\n%s", code, ill)
	}
	if strings.Contains(well+ill, "\x1b") {
		t.Error("colours in what is no terminal")
	}
}

// TestDoctorLeavesTheSpoolAlone: it belongs to the program, which may be
// running.
func TestDoctorLeavesTheSpoolAlone(t *testing.T) {
	good := httptest.NewServer(new(otlpreceiver.Store).Handler())
	defer good.Close()
	spool := filepath.Join(t.TempDir(), "spool")
	r := examine(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + good.URL, "CLEW_DELIVERY_SPOOL_DIR=" + spool})
	if _, err := os.Stat(spool); !r.OK || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, problems %v", err, r.Problems)
	}
	if !slices.ContainsFunc(r.Settings, func(s settings.Setting) bool { return s.Name == "CLEW_DELIVERY_SPOOL_DIR" && s.Value == spool }) {
		t.Errorf("settings %v", r.Settings)
	}
}

func TestDoctorNotes(t *testing.T) {
	good := httptest.NewServer(new(otlpreceiver.Store).Handler())
	defer good.Close()
	for _, test := range []struct{ env, note string }{
		{"OTEL_SERVICE_NAME=", "OTEL_SERVICE_NAME is not set"},
		{"OTEL_SDK_DISABLED=true", "nothing is recorded or sent"},
		{"OTEL_TRACES_SAMPLER=always_off", "traces that begin here are not recorded"},
		{"OTEL_LOGS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none: logs are not exported"},
		{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER=zipkin needs the program to import github.com/clewtrace/clew/contrib/zipkin"},
		{"OTEL_PYTHON_LOG_CORRELATION=true", "OTEL_PYTHON_LOG_CORRELATION is not a variable that otelsetup reads"},
	} {
		r := examine(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + good.URL, test.env})
		if !r.OK || !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, test.note) }) {
			t.Errorf("%s: no note %q in %q, problems %v", test.env, test.note, r.Notes, r.Problems)
		}
	}
}

// tempo answers as Tempo 3 does: 200 whether the trace is there or not.
func tempo(t *testing.T, store *otlpreceiver.Store, emptyAnswers int32) (url string) {
	t.Helper()
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/traces/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, s := range store.Spans() {
			if asked.Add(1) > emptyAnswers && hex.EncodeToString(s.GetTraceId()) == r.PathValue("id") {
				id := base64.StdEncoding.EncodeToString(s.GetTraceId())
				fmt.Fprintf(w, `{"trace":{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"traceId":%q,"name":%q}]}]}]}}`, id, s.GetName())
				return
			}
		}
		io.WriteString(w, `{"trace":{}}`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDoctorReadsTheSpanBack(t *testing.T) {
	var store, empty otlpreceiver.Store
	receiver := httptest.NewServer(store.Handler())
	defer receiver.Close()
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL}
	if r := examine(t, env, "--tempo", tempo(t, &store, 2)); !r.OK || len(r.ReadBack) != 1 || !r.ReadBack[0].OK || !strings.Contains(r.ReadBack[0].Detail, r.TraceID) {
		t.Errorf("%+v", r)
	}
	for name, test := range map[string]struct {
		env           []string
		args          []string
		problem, cure string
	}{
		"not there":        {env, []string{"-tempo", tempo(t, &empty, 0), "-wait", "300ms"}, "does not have the span that was accepted", "what lies between"},
		"another server":   {env, []string{"-tempo", receiver.URL}, "answers 404 Not Found, which is not its API", "port 3200 by default"},
		"Jaeger elsewhere": {env, []string{"-jaeger", answers(t, 200, "text/html", "<html>")}, "which is not its API", "port 16686 by default"},
		"no traces":        {append([]string{"OTEL_TRACES_EXPORTER=none"}, env...), []string{"-tempo", receiver.URL}, "traces are not sent over OTLP", "set OTEL_TRACES_EXPORTER=otlp"},
	} {
		r := examine(t, test.env, test.args...)
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Problem, test.problem) || !strings.Contains(r.Problems[0].Cure, test.cure) {
			t.Errorf("%s: %+v", name, r.Problems)
		}
	}
}

func TestDoctorCanBeInterrupted(t *testing.T) {
	connected := make(chan struct{}, 16)
	hole := listen(t, func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			connected <- struct{}{}
		}
	})
	cmd := program(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + hole, "OTEL_EXPORTER_OTLP_TIMEOUT=600000"}, "doctor")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 4 { // the test of the connection, and the signals
		<-connected
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); !ok || exit.ExitCode() != 130 {
		t.Errorf("ended with %v", exit)
	}
}

func TestDoctorUsage(t *testing.T) {
	for _, args := range [][]string{{"-tempo", "localhost:3200"}, {"-jaeger", "ftp://x"}, {"-wait", "soon"}, {"now"}} {
		if _, code := process(t, nil, append([]string{"doctor"}, args...)...); code != 2 {
			t.Errorf("%v: code %d", args, code)
		}
	}
}
