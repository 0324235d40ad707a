package auto

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	_ "unsafe" // for go:linkname

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/redact"
)

// rpcHooks is http.ClewRPCs of the patched standard library, field by field.
type rpcHooks struct {
	serve  func(ctx context.Context, method string, known bool, header map[string][]string) context.Context
	enter  func(ctx context.Context) (call any)
	leave  func(call any, returned bool) (end bool)
	target func(target string) any
	call   func(ctx context.Context, method string, target any) (context.Context, []string)
	end    func(ctx context.Context, code uint32, message string)
}

//go:linkname hookRPC net/http.clewRPC
var hookRPC *rpcHooks

func installRPC() {
	hookRPC = &rpcHooks{serveRPC, enterRPC, leaveRPC, rpcTarget, callRPC, endRPC}
}

// rpc is a call, and the context of its span.
type rpc struct {
	context.Context
	span    trace.Span
	scope   *scope // of the handler
	before  *scope // of the goroutine that runs it
	server  bool
	shared  bool   // the span is that of the request by which net/http serves the call
	failure string // error.type of a handler that did not return
	panic   string // what the status says of that
	done    atomic.Bool
}

type rpcKey struct{}

func (c *rpc) Value(key any) any {
	if key == (rpcKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func rpcOf(ctx context.Context) *rpc {
	c, _ := ctx.Value(rpcKey{}).(*rpc)
	return c
}

// withoutRPC is the context of a call that has no span, inside one that may have.
func withoutRPC(ctx context.Context) context.Context {
	if rpcOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, rpcKey{}, (*rpc)(nil))
}

// isRPCProbe reports whether a call asks only whether the program is there, or
// what it can do.
func isRPCProbe(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") || strings.HasPrefix(method, "/grpc.reflection.v1")
}

var (
	serverKind = trace.WithSpanKind(trace.SpanKindServer)
	clientKind = trace.WithSpanKind(trace.SpanKindClient)
)

// rpcScratch holds what a span starts with: it keeps copies.
type rpcScratch struct {
	attrs   [5]attribute.KeyValue
	options [2]trace.SpanStartOption
}

var rpcScratches = sync.Pool{New: func() any { return new(rpcScratch) }}

// startRPC starts the span of a call: Semantic Conventions 1.43.0, "RPC spans".
func startRPC(ctx context.Context, method string, known bool, kind trace.SpanStartOption, address []attribute.KeyValue) (context.Context, trace.Span) {
	s := rpcScratches.Get().(*rpcScratch)
	defer rpcScratches.Put(s)
	name, attrs := rpcAttributes(s.attrs[:0], method, known)
	s.options = [...]trace.SpanStartOption{kind, trace.WithAttributes(append(attrs, address...)...)}
	return tracer.Start(ctx, name, s.options[:]...)
}

// otherMethod stands for the methods that a server does not have.
const otherMethod = "_OTHER"

func rpcAttributes(attrs []attribute.KeyValue, method string, known bool) (name string, with []attribute.KeyValue) {
	name = strings.TrimPrefix(method, "/")
	attrs = append(attrs, semconv.RPCSystemNameGRPC)
	if !known {
		attrs = append(attrs, semconv.RPCMethodOriginal(name))
		name = otherMethod
	}
	return name, append(attrs, semconv.RPCMethod(name))
}

// serveRPC begins the span of a call that a server has received.
func serveRPC(ctx context.Context, method string, known bool, header map[string][]string) context.Context {
	s := current()
	switch {
	case s == suppressed || standsBack():
		return withoutRPC(ctx)
	case isRPCProbe(method):
		return &rpc{Context: ctx, scope: untraced, server: true}
	}
	if span := trace.SpanFromContext(ctx); span.SpanContext().IsValid() {
		return shareRPC(ctx, span, s, method, known)
	}
	c := &rpc{server: true}
	ctx = otel.GetTextMapPropagator().Extract(ctx, rpcHeader(header))
	var at [2]attribute.KeyValue
	if host := header[":authority"]; len(host) > 0 {
		ctx, c.span = startRPC(ctx, method, known, serverKind, appendAddress(at[:0], host[0]))
	} else {
		ctx, c.span = startRPC(ctx, method, known, serverKind, nil)
	}
	c.scope = &scope{span: c.span.SpanContext(), baggage: baggage.FromContext(ctx)}
	if bridge != nil {
		ctx = bridge.Serve(ctx, c.span)
	}
	c.Context = ctx
	return c
}

// shareRPC makes the span of a request that of the call by which a handler of
// net/http serves it.
func shareRPC(ctx context.Context, span trace.Span, s *scope, method string, known bool) context.Context {
	c := &rpc{Context: ctx, span: span, server: true, shared: true}
	c.scope = &scope{span: span.SpanContext(), baggage: baggage.FromContext(ctx)}
	if span.IsRecording() {
		name, attrs := rpcAttributes(nil, method, known)
		span.SetName(name)
		span.SetAttributes(attrs...)
		if s != nil && s.span.Equal(c.scope.span) {
			s.named.Store(true)
		}
	}
	return c
}

// rpcHeader is the header of a call, whose names are lower-case.
type rpcHeader map[string][]string

func (h rpcHeader) Get(name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (h rpcHeader) Values(name string) []string { return h[strings.ToLower(name)] }
func (h rpcHeader) Set(string, string)          {}

func (h rpcHeader) Keys() []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	return names
}

// enterRPC puts the goroutine that handles a call into its scope.
func enterRPC(ctx context.Context) any {
	c := rpcOf(ctx)
	if c == nil {
		return nil
	}
	c.before = current()
	enter(c.scope)
	return c
}

// leaveRPC takes it out again. A panic keeps the scope, because a goroutine that
// panics takes no further call, and the panic is logged in it.
func leaveRPC(call any, returned bool) (end bool) {
	c := call.(*rpc)
	if !returned {
		c.panicked()
		return c.shared
	}
	if c.span != nil {
		c.scope.ended.Store(true)
	}
	enter(c.before)
	return c.shared
}

// panicked notes why the handler does not return.
func (c *rpc) panicked() {
	v, panicking := panicValue()
	if !panicking {
		c.failure, c.panic = "runtime.Goexit", "runtime.Goexit"
		return
	}
	err, ok := v.(error)
	c.failure = "panic"
	if ok {
		c.failure = semconv.ErrorType(err).Value.AsString()
	} else {
		err = errors.New(fmt.Sprint(v))
	}
	c.panic = "panic: " + err.Error()
	if c.span != nil {
		c.span.RecordError(fmt.Errorf("panic: %w", err), trace.WithAttributes(semconv.ExceptionStacktrace(string(debug.Stack()))))
	}
}

// rpcTarget has the attributes for where a client sends its calls to.
func rpcTarget(target string) any {
	if endpoint := rpcEndpoint(target); endpoint != "" {
		return appendAddress(nil, endpoint)
	}
	return []attribute.KeyValue(nil)
}

// rpcEndpoint is the endpoint of a target of gRPC: "scheme://authority/endpoint",
// "scheme:endpoint" or "endpoint".
func rpcEndpoint(target string) string {
	scheme, rest, _ := strings.Cut(target, ":")
	if path, ok := strings.CutPrefix(rest, "//"); ok {
		_, endpoint, _ := strings.Cut(path, "/")
		if scheme == "unix" {
			endpoint = "/" + endpoint
		}
		return endpoint
	}
	switch scheme {
	case "dns", "passthrough", "unix", "unix-abstract", "ipv4", "ipv6":
		return rest
	}
	return target
}

func appendAddress(attrs []attribute.KeyValue, endpoint string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return append(attrs, semconv.ServerAddress(endpoint))
	}
	attrs = append(attrs, semconv.ServerAddress(host))
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		attrs = append(attrs, semconv.ServerPort(int(n)))
	}
	return attrs
}

// callRPC begins the span of a call that a client makes.
func callRPC(ctx context.Context, method string, target any) (context.Context, []string) {
	if !current().hasSpans() || isRPCProbe(method) || standsBack() || bridge != nil && bridge.SendsRPC(ctx) {
		return withoutRPC(ctx), nil
	}
	c := &rpc{}
	c.Context, c.span = startRPC(withParent(ctx), method, true, clientKind, target.([]attribute.KeyValue))
	var fields rpcFields
	otel.GetTextMapPropagator().Inject(c.Context, &fields)
	return c, fields
}

// rpcFields are names and values, which follow each other.
type rpcFields []string

func (f *rpcFields) Get(string) string { return "" }
func (f *rpcFields) Keys() []string    { return nil }

func (f *rpcFields) Set(name, value string) {
	if *f == nil {
		*f = make([]string, 0, 4)
	}
	*f = append(*f, strings.ToLower(name), value)
}

// rpcCodes are the names of the status codes of gRPC.
var rpcCodes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// rpcFailed reports whether a status is an error: for a client, all are; for a
// server, those that are its own fault.
func rpcFailed(code string, server bool) bool {
	if !server {
		return code != "OK"
	}
	switch code {
	case "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS":
		return true
	}
	return false
}

// endRPC ends the span of a call.
func endRPC(ctx context.Context, code uint32, message string) {
	c := rpcOf(ctx)
	if c == nil || c.span == nil || c.done.Swap(true) {
		return
	}
	if c.span.IsRecording() {
		c.setStatus(code, message)
	}
	if !c.shared {
		c.span.End()
	}
}

func (c *rpc) setStatus(code uint32, message string) {
	if c.failure != "" {
		c.span.SetAttributes(semconv.ErrorTypeKey.String(c.failure))
		c.span.SetStatus(codes.Error, redact.Text(c.panic))
		return
	}
	name := "CODE(" + strconv.FormatUint(uint64(code), 10) + ")"
	if int(code) < len(rpcCodes) {
		name = rpcCodes[code]
	}
	if !rpcFailed(name, c.server) {
		c.span.SetAttributes(semconv.RPCResponseStatusCode(name))
		return
	}
	c.span.SetAttributes(semconv.RPCResponseStatusCode(name), semconv.ErrorTypeKey.String(name))
	c.span.SetStatus(codes.Error, redact.Text(message))
}
