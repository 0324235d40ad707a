package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // to accept it
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// grpcServer is a receiver of OTLP over gRPC.
func grpcServer(t *testing.T, certificates ...tls.Certificate) (address string, store *otlpreceiver.Store) {
	t.Helper()
	store = &otlpreceiver.Store{}
	server := otlpreceiver.New(store, nil).GRPCServer()
	address = listen(t, func(l net.Listener) {
		if len(certificates) == 0 {
			server.Serve(l) //nolint:errcheck // ends when closed
			return
		}
		server.TLSConfig = &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12}
		server.ServeTLS(l, "", "") //nolint:errcheck // ends when closed
	})
	t.Cleanup(func() { server.Close() })
	return address, store
}

// grpcSocket is a receiver on a unix socket.
func grpcSocket(t *testing.T) (path string, store *otlpreceiver.Store) {
	t.Helper()
	dir, err := os.MkdirTemp("", "clew") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "otel.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	store = &otlpreceiver.Store{}
	server := otlpreceiver.New(store, nil).GRPCServer()
	go server.Serve(listener) //nolint:errcheck // ends when closed
	t.Cleanup(func() { server.Close() })
	return path, store
}

// collector is a server of gRPC's own module.
type collector struct {
	coltrace.UnimplementedTraceServiceServer

	answer  *coltrace.ExportTraceServiceResponse
	err     error
	headers chan metadata.MD
}

func (c *collector) Export(ctx context.Context, req *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	md.Set("name", req.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName())
	c.headers <- md
	return c.answer, c.err
}

// serve returns the address of the collector.
func (c *collector) serve(t *testing.T) (address string) {
	t.Helper()
	c.headers = make(chan metadata.MD, 1)
	server := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(server, c)
	t.Cleanup(server.Stop)
	return listen(t, func(l net.Listener) { server.Serve(l) }) //nolint:errcheck // ends when stopped
}

// TestDoctorIsAClientOfGRPC: the server is the one of gRPC's own module, which
// compresses its answers as the request was.
func TestDoctorIsAClientOfGRPC(t *testing.T) {
	took := &coltrace.ExportTraceServiceResponse{}
	left := &coltrace.ExportTraceServiceResponse{PartialSuccess: &coltrace.ExportTracePartialSuccess{RejectedSpans: 1, ErrorMessage: strings.Repeat("too old ", 20)}}
	for _, test := range []struct {
		name    string
		answer  *coltrace.ExportTraceServiceResponse
		err     error
		env     []string
		detail  string
		problem string // "": none
	}{
		{"it takes all", took, nil, nil, "gRPC OK", ""},
		{"compressed, it takes all", took, nil, []string{"OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}, "gRPC OK", ""},
		{"it leaves out a part", left, nil, nil, "gRPC OK", "accepted, and then left out: too old too old"},
		{"compressed, it leaves out a part", left, nil, []string{"OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}, "gRPC OK", "accepted, and then left out: too old too old"},
		{"it refuses", nil, grpcstatus.Error(codes.InvalidArgument, "50 % of the café"), nil, "gRPC InvalidArgument", `InvalidArgument "50 % of the café"`},
		{"it is overloaded", nil, grpcstatus.Error(codes.ResourceExhausted, "full"), nil, "gRPC ResourceExhausted", "the receiver is overloaded or at a limit"},
		{"it does not work now", nil, grpcstatus.Error(codes.Unavailable, "starting"), nil, "gRPC Unavailable", "Unavailable: starting"},
		{"its code is of its own", nil, grpcstatus.Error(77, "?"), nil, "gRPC Code(77)", `Code(77) "?"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &collector{answer: test.answer, err: test.err}
			r := examine(t, append([]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.serve(t), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none",
				"OTEL_EXPORTER_OTLP_HEADERS=x-tenant=a%20b,x-raw-bin=%C3%A9",
			}, test.env...))
			if len(r.Endpoints) != 1 || r.Endpoints[0].Steps[1].Detail != test.detail {
				t.Errorf("%+v", r.Endpoints[0].Steps)
			}
			switch {
			case test.problem == "" && len(r.Problems) == 0:
			case test.problem == "" || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Problem, test.problem):
				t.Errorf("want %q: %+v", test.problem, r.Problems)
			}
			got := <-c.headers
			for name, want := range map[string]string{"name": "clew doctor", "x-tenant": "a b", "x-raw-bin": "é", "user-agent": "clew-doctor"} {
				if !slices.Equal(got.Get(name), []string{want}) {
					t.Errorf("%s is %q, want %s", name, got.Get(name), want)
				}
			}
		})
	}
}

// TestDoctorReachesGRPCThroughAProxy: gRPC asks a proxy to CONNECT, with or without TLS.
func TestDoctorReachesGRPCThroughAProxy(t *testing.T) {
	ca := newAuthority(t)
	const host = "collector.example"
	plain, plainStore := grpcServer(t)
	secure, secureStore := grpcServer(t, ca.issue(t, host, time.Now().Add(24*time.Hour)))
	for scheme, to := range map[string]string{"http": plain, "https": secure} {
		for _, answer := range []int{http.StatusOK, http.StatusProxyAuthRequired} {
			t.Run(fmt.Sprintf("%s, %d", scheme, answer), func(t *testing.T) {
				asked := make(chan *http.Request, 10)
				proxy := listen(t, func(l net.Listener) {
					var clients sync.WaitGroup
					defer clients.Wait()
					for {
						client, err := l.Accept()
						if err != nil {
							return
						}
						clients.Go(func() { connect(client, to, answer, asked) })
					}
				})
				spans := len(plainStore.Spans()) + len(secureStore.Spans())
				r := examine(t, []string{
					"OTEL_EXPORTER_OTLP_ENDPOINT=" + scheme + "://" + host + ":4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_CERTIFICATE=" + ca.file,
					"HTTPS_PROXY=http://user:w0rd@" + proxy, "NO_PROXY=", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none",
				})
				if answer != http.StatusOK {
					if r.OK || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Problem, "the proxy answers CONNECT with 407 Proxy Authentication Required") {
						t.Errorf("%+v", r.Problems)
					}
					return
				}
				if n := len(plainStore.Spans()) + len(secureStore.Spans()); !r.OK || n != spans+1 {
					t.Errorf("took %d spans: %+v", n-spans, r.Problems)
				}
				req := <-asked
				as := &http.Request{Header: http.Header{"Authorization": req.Header["Proxy-Authorization"]}}
				if user, word, _ := as.BasicAuth(); req.Method != http.MethodConnect || req.Host != host+":4317" || user != "user" || word != "w0rd" {
					t.Errorf("%s %s by %s:%s", req.Method, req.Host, user, word)
				}
			})
		}
	}
}

// connect answers one request to a proxy. What only connects is no request.
func connect(client net.Conn, to string, answer int, asked chan<- *http.Request) {
	defer client.Close()
	in := bufio.NewReader(client)
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	asked <- req
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", answer, http.StatusText(answer))
	if answer != http.StatusOK {
		return
	}
	go func() {
		io.Copy(client, server) //nolint:errcheck // ends with either connection
		client.Close()
	}()
	io.Copy(server, in) //nolint:errcheck // the same
}
