// The race detector takes several times the memory and the time.

//go:build !race

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// hostileMemory is the bound of clew view under attack; the least there is.
const hostileMemory = minMemory

// TestHostileViewKeepsItsMemory sends what has made clew view take gigabytes,
// each to a process of its own, and reads from the kernel how much the process
// has ever had: the bound of -memory, and half of that for what is not yet
// collected and the program itself.
func TestHostileViewKeepsItsMemory(t *testing.T) {
	for _, attack := range []struct {
		name string
		run  func(*testing.T, target)
	}{
		{"connections that announce 20 MiB", func(t *testing.T, v target) { t.Helper(); v.stall(t, 300, []byte{'x'}) }},
		{"connections that announce 20 MiB and send a part", func(t *testing.T, v target) { t.Helper(); v.stall(t, 300, make([]byte, 1<<20)) }},
		{"headers that do not end", func(t *testing.T, v target) { t.Helper(); v.headers(t, 600) }},
		{"gRPC calls in flight", func(t *testing.T, v target) { t.Helper(); v.calls(t, 40, 8, 2<<20) }},
		{"gzip of zeros", func(t *testing.T, v target) {
			t.Helper()
			v.flood(t, 12, func(int) []byte { return make([]byte, 19<<20) })
		}},
		{"entity references", floodOf(60, func(i int) *tracepb.ResourceSpans {
			var refs []*commonpb.EntityRef
			for range 4000 {
				refs = append(refs, &commonpb.EntityRef{SchemaUrl: long(i, 400), IdKeys: []string{long(i, 400), "", ""}})
			}
			return resourceSpans(i, &resourcepb.Resource{EntityRefs: refs}, nil, 1)
		})},
		{"long ids of links", floodOf(60, func(i int) *tracepb.ResourceSpans {
			rs := resourceSpans(i, nil, nil, 3000)
			for _, s := range rs.GetScopeSpans()[0].GetSpans() {
				s.Links = []*tracepb.Span_Link{{TraceId: []byte(long(i, 500)), SpanId: []byte(long(i, 500))}}
			}
			return rs
		})},
		{"many scopes of one resource", floodOf(60, func(i int) *tracepb.ResourceSpans {
			rs := resourceSpans(i, &resourcepb.Resource{}, nil, 1)
			for range 3000 {
				rs.ScopeSpans = append(rs.ScopeSpans, resourceSpans(i, nil, scope(long(i, 1000)), 1).GetScopeSpans()...)
			}
			return rs
		})},
		{"large scopes without a resource", floodOf(60, func(i int) *tracepb.ResourceSpans {
			return resourceSpans(i, nil, scope(long(i, 3<<20)), 2)
		})},
		{"long names of services", func(t *testing.T, v target) {
			t.Helper()
			floodOf(24, func(i int) *tracepb.ResourceSpans { return resourceSpans(i, named(long(i, 4<<20)), nil, 2) })(t, v)
			floodOf(200, func(i int) *tracepb.ResourceSpans { return resourceSpans(i, named(long(i, 200<<10)), nil, 2) })(t, v)
			v.read(t, "/api/traces?limit=1000", "/api/graph", "/api/operations")
		}},
		{"many services, shown", func(t *testing.T, v target) {
			t.Helper()
			for i := range 20 {
				req := &coltrace.ExportTraceServiceRequest{}
				for k := range 1000 {
					req.ResourceSpans = append(req.ResourceSpans, resourceSpans(i*1000+k, named(long(i*1000+k, 255)), nil, 1))
				}
				v.post(t, "/v1/traces", marshal(t, req))
			}
			v.read(t, "/api/traces?limit=1000", "/api/graph", "/api/operations")
		}},
		{"one span for each trace", floodOf(30, func(int) *tracepb.ResourceSpans {
			rs := resourceSpans(0, nil, nil, 0)
			for range 10_000 {
				rs.GetScopeSpans()[0].Spans = append(rs.GetScopeSpans()[0].GetSpans(), &tracepb.Span{TraceId: randomID(16), SpanId: randomID(8)})
			}
			return rs
		})},
		{"empty messages", func(t *testing.T, v target) {
			t.Helper()
			v.flood(t, 20, func(int) []byte { return bytes.Repeat([]byte{0x0a, 0x04, 0x12, 0x02, 0x12, 0x00}, 300_000) })
		}},
		{"large logs", func(t *testing.T, v target) {
			t.Helper()
			for i := range 60 {
				var records []*logspb.LogRecord
				for range 30 {
					records = append(records, &logspb.LogRecord{TraceId: traceID(i), Body: text(strings.Repeat("\x01", 100_000))})
				}
				v.post(t, "/v1/logs", marshal(t, &collogs.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: records}}}}}))
			}
		}},
		{"large traces, read by many", func(t *testing.T, v target) {
			t.Helper()
			for i := range 20 {
				rs := resourceSpans(1, named("s"), nil, 200)
				for _, s := range rs.GetScopeSpans()[0].GetSpans() {
					s.Attributes = []*commonpb.KeyValue{{Key: "k", Value: text(strings.Repeat("\x01", 2000))}}
					s.Name = long(i, 1000)
				}
				v.post(t, "/v1/traces", marshal(t, &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{rs}}))
			}
			one := "/api/traces/" + hex.EncodeToString(traceID(1))
			v.read(t, one, one+"/otlp", "/api/traces?q=k~x", "/api/graph", "/api/operations")
		}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			process, page, otlp, calls := startViewProcess(t, "-memory", strconv.Itoa(hostileMemory))
			v := target{page: page, otlp: otlp, grpc: calls}
			attack.run(t, v)
			v.honest(t)
			peak := peakMemory(t, process.Pid)
			t.Logf("peak %.1f MiB of %d", float64(peak)/(1<<20), hostileMemory>>20)
			if peak > hostileMemory*3/2 {
				t.Errorf("peak %d bytes, %.2f of the bound", peak, float64(peak)/hostileMemory)
			}
		})
	}
}

// target is a clew view that is attacked.
type target struct{ page, otlp, grpc string }

func floodOf(n int, resource func(int) *tracepb.ResourceSpans) func(*testing.T, target) {
	return func(t *testing.T, v target) {
		t.Helper()
		t.Helper()
		v.flood(t, n, func(i int) []byte {
			return marshal(t, &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{resource(i)}})
		})
	}
}

// flood posts bodies, compressed, four at a time.
func (v target) flood(t *testing.T, n int, body func(int) []byte) {
	t.Helper()
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for i := worker; i < n; i += 4 {
				v.post(t, "/v1/traces", body(i))
			}
		})
	}
	wait.Wait()
}

// post returns the status; the attacks do not care.
func (v target) post(t *testing.T, path string, body []byte) int {
	t.Helper()
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	z.Write(body) //nolint:errcheck // a bytes.Buffer takes all
	z.Close()     //nolint:errcheck // the same
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.otlp+path, &packed)
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body) //nolint:errcheck // it is not looked at
	return resp.StatusCode
}

// stall opens connections that announce the largest body and send a part of it.
func (v target) stall(t *testing.T, n int, part []byte) {
	t.Helper()
	head := "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 20971520\r\n\r\n"
	v.connections(t, n, strings.TrimPrefix(v.otlp, "http://"), append([]byte(head), part...))
}

func (v target) headers(t *testing.T, n int) {
	t.Helper()
	v.connections(t, n, strings.TrimPrefix(v.page, "http://"), []byte("GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 15<<10)))
}

// connections sends the same bytes on many connections and leaves them open for
// a while. Those that are not accepted wait.
func (v target) connections(t *testing.T, n int, address string, sent []byte) {
	t.Helper()
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(3 * time.Second))
			c.Write(sent)          //nolint:errcheck // the receiver may end it
			io.Copy(io.Discard, c) //nolint:errcheck // ends at the deadline
		})
	}
	wait.Wait()
}

// calls sends large messages in many gRPC calls at the same time.
func (v target) calls(t *testing.T, connections, each, size int) {
	t.Helper()
	req := &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{resourceSpans(1, named(long(1, size)), nil, 1)}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var wait sync.WaitGroup
	for range connections {
		conn, err := grpc.NewClient(v.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // nothing is left to lose
		for range each {
			wait.Go(func() {
				coltrace.NewTraceServiceClient(conn).Export(ctx, req) //nolint:errcheck // many are refused
			})
		}
	}
	wait.Wait()
}

// read asks for pages, each twenty times at the same time.
func (v target) read(t *testing.T, paths ...string) {
	t.Helper()
	var wait sync.WaitGroup
	for _, path := range paths {
		for range 20 {
			wait.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.page+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(path, err)
					return
				}
				defer resp.Body.Close()
				io.Copy(io.Discard, resp.Body) //nolint:errcheck // it is not looked at
			})
		}
	}
	wait.Wait()
}

// honest sends one span; a receiver that is busy has it sent again.
func (v target) honest(t *testing.T) {
	t.Helper()
	body := marshal(t, &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{resourceSpans(7, named("honest"), nil, 1)}})
	status := 0
	for range 30 {
		if status = v.post(t, "/v1/traces", body); status == http.StatusOK {
			return
		}
		if status != http.StatusServiceUnavailable {
			break
		}
	}
	t.Errorf("a request after the attack: status %d", status)
}

// peakMemory is the most that a process ever had in memory, as Linux counts.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kilobytes, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

func marshal(t *testing.T, msg proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(msg)
	if err != nil {
		t.Error(err)
	}
	return b
}

// long is a text of so many bytes that begins differently for each n.
func long(n, bytes int) string { return fmt.Sprintf("%010d", n) + strings.Repeat("\x01", bytes-10) }

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func scope(name string) *commonpb.InstrumentationScope {
	return &commonpb.InstrumentationScope{Name: name}
}

func named(name string) *resourcepb.Resource {
	return &resourcepb.Resource{Attributes: []*commonpb.KeyValue{{Key: "service.name", Value: text(name)}}}
}

func traceID(n int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8), uint64(n)+1) } //nolint:gosec // small

func randomID(length int) []byte {
	b := make([]byte, length)
	rand.Read(b) //nolint:errcheck // it never fails
	return b
}

// resourceSpans is so many spans of trace n.
func resourceSpans(n int, r *resourcepb.Resource, s *commonpb.InstrumentationScope, spans int) *tracepb.ResourceSpans {
	scoped := &tracepb.ScopeSpans{Scope: s}
	for range spans {
		scoped.Spans = append(scoped.Spans, &tracepb.Span{TraceId: traceID(n), SpanId: randomID(8), Name: "n"})
	}
	return &tracepb.ResourceSpans{Resource: r, ScopeSpans: []*tracepb.ScopeSpans{scoped}}
}
