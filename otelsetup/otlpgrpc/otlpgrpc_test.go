package otlpgrpc_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

func TestEachSignalHasItsService(t *testing.T) {
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	s := sender(t, endpoint(t, "http://"+l.Addr().String()))
	for _, signal := range []delivery.Signal{delivery.Traces, delivery.Metrics, delivery.Logs} {
		if _, err := s.Send(t.Context(), signal, request(t, signal, signal.String())); err != nil {
			t.Errorf("%s: %v", signal, err)
		}
	}
	if got, want := slices.Sorted(maps.Keys(c.spans)), []string{"logs", "metrics", "traces"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHeadersAndCompression(t *testing.T) {
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	config := endpoint(t, "http://"+l.Addr().String())
	config.Headers = map[string]string{"Api-Key": "secret", "token-bin": "\x00\xff"}
	config.Gzip = true
	s := sender(t, config)
	body := request(t, delivery.Traces, strings.Repeat("a", 10_000))
	if _, err := s.Send(t.Context(), delivery.Traces, body); err != nil {
		t.Fatal(err)
	}
	header := c.headers[0]
	for name, want := range map[string]string{
		"api-key": "secret", "token-bin": "\x00\xff", "content-type": "application/grpc", ":authority": l.Addr().String(),
	} {
		if got := header.Header.Get(name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(header.Header.Get("user-agent"), ""); !strings.HasPrefix(got, "Clew-OTLP-Exporter-Go/") {
		t.Errorf("user-agent: %q", got)
	}
	if header.Compression != "gzip" || c.payloads[0].CompressedLength >= len(body)/10 {
		t.Errorf("%d bytes came as %d, compressed with %q", len(body), c.payloads[0].CompressedLength, header.Compression)
	}
}

func TestHeadersThatGRPCCannotSend(t *testing.T) {
	for name, value := range map[string]string{"": "v", "a b": "v", ":path": "v", "ü": "v", "name": "a\nb", "other": "ü"} {
		config := endpoint(t, "http://localhost")
		config.Headers = map[string]string{name: value}
		if _, err := otlpgrpc.New(t.Context(), config); err == nil {
			t.Errorf("%q: %q is accepted", name, value)
		}
	}
}

func TestTargets(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	var c collector
	l := listen(t, "tcp", "localhost:0")
	c.serve(t, l, nil)
	c.serve(t, listen(t, "unix", "sock"), nil)
	host := l.Addr().String()
	_, port, _ := strings.Cut(host, ":")
	for _, target := range []string{
		host, "localhost:" + port, "dns:" + host, "dns:///localhost:" + port, "passthrough:///" + host,
		"unix:sock", "unix://" + filepath.Join(dir, "sock"), "unix:" + filepath.Join(dir, "sock"),
	} {
		s := sender(t, extend.OTLP{Signal: "traces", Target: target})
		if _, err := s.Send(t.Context(), delivery.Traces, request(t, delivery.Traces, target)); err != nil || c.spans[target] != 1 {
			t.Errorf("%s: %v, came %d times", target, err, c.spans[target])
		}
	}
	if _, err := otlpgrpc.New(t.Context(), extend.OTLP{Endpoint: &url.URL{}, Target: "%zz"}); err == nil {
		t.Error("what is no target is accepted")
	}
}

// Of a name that ends in .onion, Go says without asking anybody that it does not exist.
func TestANameThatDoesNotExist(t *testing.T) {
	s := sender(t, extend.OTLP{Signal: "traces", Target: "dns:///collector.onion:4317"})
	_, err := s.Send(within(t, 10*time.Second), delivery.Traces, nil)
	if got, ok := errors.AsType[*delivery.SendError](err); !ok || !got.Refused || got.Reason != "name_not_resolved" {
		t.Error(err)
	}
}

// The table is that of OpenTelemetry Protocol Specification, "Failures" of OTLP/gRPC.
func TestWhatAStatusMeans(t *testing.T) {
	after := &errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)}
	retry, divide, final := delivery.SendError{Retry: true}, delivery.SendError{Divide: true}, delivery.SendError{}
	told := delivery.SendError{Retry: true, RetryAfter: 1500 * time.Millisecond}
	for _, test := range []struct {
		code   codes.Code
		info   *errdetails.RetryInfo
		want   delivery.SendError
		reason string
	}{
		{codes.Canceled, nil, retry, "CANCELLED"},
		{codes.DeadlineExceeded, nil, retry, "DEADLINE_EXCEEDED"},
		{codes.Aborted, nil, retry, "ABORTED"},
		{codes.OutOfRange, nil, retry, "OUT_OF_RANGE"},
		{codes.Unavailable, nil, retry, "UNAVAILABLE"},
		{codes.Unavailable, after, told, "UNAVAILABLE"},
		{codes.Unavailable, &errdetails.RetryInfo{RetryDelay: durationpb.New(-time.Second)}, retry, "UNAVAILABLE"},
		{codes.DataLoss, nil, retry, "DATA_LOSS"},
		{codes.ResourceExhausted, nil, divide, "RESOURCE_EXHAUSTED"},
		{codes.ResourceExhausted, after, told, "RESOURCE_EXHAUSTED"},
		{codes.ResourceExhausted, &errdetails.RetryInfo{}, retry, "RESOURCE_EXHAUSTED"},
		{codes.InvalidArgument, nil, divide, "INVALID_ARGUMENT"},
		{codes.Unknown, nil, final, "UNKNOWN"},
		{codes.NotFound, nil, final, "NOT_FOUND"},
		{codes.AlreadyExists, nil, final, "ALREADY_EXISTS"},
		{codes.PermissionDenied, nil, final, "PERMISSION_DENIED"},
		{codes.FailedPrecondition, nil, final, "FAILED_PRECONDITION"},
		{codes.Unimplemented, nil, final, "UNIMPLEMENTED"},
		{codes.Internal, after, final, "INTERNAL"},
		{codes.Unauthenticated, nil, final, "UNAUTHENTICATED"},
		{codes.Code(99), nil, final, "UNKNOWN"},
	} {
		var c collector
		c.answers(func(context.Context, proto.Message) error {
			s := status.New(test.code, "because: connection refused")
			if test.info != nil {
				s, _ = s.WithDetails(test.info)
			}
			return s.Err()
		})
		l := listen(t, "tcp", "127.0.0.1:0")
		stop := c.serve(t, l, nil)
		_, err := sender(t, endpoint(t, "http://"+l.Addr().String())).Send(t.Context(), delivery.Traces, nil)
		got, ok := errors.AsType[*delivery.SendError](err)
		if !ok {
			t.Fatalf("%s: %v", test.code, err)
		}
		if got.Reason != test.reason || got.Retry != test.want.Retry || got.RetryAfter != test.want.RetryAfter ||
			got.Divide != test.want.Divide || got.Refused || got.Err.Error() != "because: connection refused" {
			t.Errorf("%s: got %+v, want %+v and %s", test.code, *got, test.want, test.reason)
		}
		stop()
	}
}

// TestAWebPageIsNoAnswer: neither that of a captive portal nor that of a proxy says
// anything about the request, as over HTTP.
func TestAWebPageIsNoAnswer(t *testing.T) {
	for code, want := range map[int]delivery.SendError{
		http.StatusOK:                            {Reason: "not_otlp", Retry: true},
		http.StatusMovedPermanently:              {Reason: "not_otlp", Retry: true},
		http.StatusFound:                         {Reason: "not_otlp", Retry: true},
		http.StatusSeeOther:                      {Reason: "not_otlp", Retry: true},
		http.StatusTemporaryRedirect:             {Reason: "not_otlp", Retry: true},
		http.StatusPermanentRedirect:             {Reason: "not_otlp", Retry: true},
		http.StatusProxyAuthRequired:             {Reason: "not_otlp", Retry: true},
		http.StatusNetworkAuthenticationRequired: {Reason: "not_otlp", Retry: true},
		http.StatusBadRequest:                    {Reason: "400", Divide: true},
		http.StatusRequestEntityTooLarge:         {Reason: "413", Divide: true},
		http.StatusServiceUnavailable:            {Reason: "UNAVAILABLE", Retry: true},
		http.StatusForbidden:                     {Reason: "PERMISSION_DENIED"},
		http.StatusInternalServerError:           {Reason: "UNKNOWN"},
	} {
		page := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "<html>Log in</html>")
		}))
		page.Config.Protocols = new(http.Protocols)
		page.Config.Protocols.SetUnencryptedHTTP2(true)
		page.Start()
		t.Cleanup(page.Close)
		_, err := sender(t, endpoint(t, page.URL)).Send(t.Context(), delivery.Traces, nil)
		if got, ok := errors.AsType[*delivery.SendError](err); !ok || got.Reason != want.Reason || got.Retry != want.Retry || got.Divide != want.Divide {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// TestAStreamThatIsReset is a failure of the connection, as over HTTP: a proxy resets it
// when the server behind it is gone.
func TestAStreamThatIsReset(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"before the header": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"after the header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"without a status": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_, _ = w.Write(make([]byte, 5)) // an empty message
		},
	} {
		server := httptest.NewUnstartedServer(answer)
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		t.Cleanup(server.Close)
		_, err := sender(t, endpoint(t, server.URL)).Send(t.Context(), delivery.Traces, nil)
		if got, ok := errors.AsType[*delivery.SendError](err); !ok || got.Reason != "network" || !got.Retry || got.Divide || got.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAStatusWithoutAMessage is told by its name alone.
func TestAStatusWithoutAMessage(t *testing.T) {
	var c collector
	c.answers(func(context.Context, proto.Message) error { return status.Error(codes.Unavailable, "") })
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	if _, err := sender(t, endpoint(t, "http://"+l.Addr().String())).Send(t.Context(), delivery.Traces, nil); err == nil || err.Error() != "UNAVAILABLE" {
		t.Errorf("%v", err)
	}
}

func TestATooLargeMessageIsDivided(t *testing.T) {
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil, grpc.MaxRecvMsgSize(1000))
	for _, gzip := range []bool{false, true} {
		config := endpoint(t, "http://"+l.Addr().String())
		config.Gzip = gzip
		_, err := sender(t, config).Send(t.Context(), delivery.Traces, request(t, delivery.Traces, strings.Repeat("a", 2000)))
		if got, ok := errors.AsType[*delivery.SendError](err); !ok || !got.Divide || got.Retry || got.Reason != "RESOURCE_EXHAUSTED" {
			t.Errorf("gzip %v: %#v", gzip, err)
		}
	}
}

func TestNoTargetIsAnError(t *testing.T) {
	if _, err := otlpgrpc.New(t.Context(), extend.OTLP{}); err == nil {
		t.Error("New returned no error for a route to nowhere")
	}
}
