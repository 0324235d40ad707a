package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
)

// quick has short pauses, so that tests on real sockets do not take long.
func quick(h *handled) delivery.Config {
	return delivery.Config{
		MinBackoff:   time.Millisecond,
		MaxBackoff:   20 * time.Millisecond,
		Timeout:      5 * time.Second,
		ErrorHandler: h,
	}
}

func newTransport(t *testing.T, cfg delivery.Config) *delivery.Transport {
	t.Helper()
	tr, err := delivery.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tr.Shutdown(ctx)
	})
	return tr
}

// traceRequest encodes one request with a span of each name.
func traceRequest(names ...string) []byte {
	spans := make([]*tracepb.Span, len(names))
	for i, name := range names {
		spans[i] = &tracepb.Span{Name: name, TraceId: make([]byte, 16), SpanId: make([]byte, 8)}
	}
	body, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}},
	}}})
	if err != nil {
		panic(err)
	}
	return body
}

func post(t *testing.T, tr *delivery.Transport, s delivery.Signal, url string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/v1/"+s.String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Api-Key", "secret")
	resp, err := tr.Client(s).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if cerr := resp.Body.Close(); err != nil || cerr != nil || len(answer) != 0 || resp.StatusCode != http.StatusOK {
		t.Fatalf("answer is %s %q, %v: want 200 and an empty message", resp.Status, answer, err)
	}
}

// postSpans sends n requests of one span each and returns the spans' names.
func postSpans(t *testing.T, tr *delivery.Transport, url string, from, n int) []string {
	t.Helper()
	var names []string
	for i := from; i < from+n; i++ {
		name := fmt.Sprintf("span %d", i)
		names = append(names, name)
		post(t, tr, delivery.Traces, url, traceRequest(name))
	}
	return names
}

// flush waits until nothing waits any more. Some may have been dropped.
func flush(t *testing.T, tr *delivery.Transport) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := tr.ForceFlush(ctx); err != nil && !errors.As(err, new(*delivery.UndeliveredError)) {
		t.Fatal(err)
	}
	for _, s := range []delivery.Signal{delivery.Traces, delivery.Metrics, delivery.Logs} {
		if st := tr.Stats(s); st.Queued > 0 {
			t.Fatalf("%v: %+v after ForceFlush", s, st)
		}
	}
}

func TestExportersOfAllSignals(t *testing.T) {
	for _, gzip := range []bool{false, true} {
		t.Run(fmt.Sprintf("gzip=%v", gzip), func(t *testing.T) {
			ctx := context.Background()
			s := newSink(t)
			tr := newTransport(t, quick(nil))
			addr := s.Listener.Addr().String()

			spanOpts := []otlptracehttp.Option{otlptracehttp.WithInsecure(), otlptracehttp.WithEndpoint(addr), otlptracehttp.WithHTTPClient(tr.Client(delivery.Traces)), otlptracehttp.WithHeaders(map[string]string{"Api-Key": "k"})}
			pointOpts := []otlpmetrichttp.Option{otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithEndpoint(addr), otlpmetrichttp.WithHTTPClient(tr.Client(delivery.Metrics)), otlpmetrichttp.WithHeaders(map[string]string{"Api-Key": "k"})}
			logOpts := []otlploghttp.Option{otlploghttp.WithInsecure(), otlploghttp.WithEndpoint(addr), otlploghttp.WithHTTPClient(tr.Client(delivery.Logs)), otlploghttp.WithHeaders(map[string]string{"Api-Key": "k"})}
			if gzip {
				spanOpts = append(spanOpts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
				pointOpts = append(pointOpts, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
				logOpts = append(logOpts, otlploghttp.WithCompression(otlploghttp.GzipCompression))
			}
			spanExp, err := otlptracehttp.New(ctx, spanOpts...)
			if err != nil {
				t.Fatal(err)
			}
			pointExp, err := otlpmetrichttp.New(ctx, pointOpts...)
			if err != nil {
				t.Fatal(err)
			}
			logExp, err := otlploghttp.New(ctx, logOpts...)
			if err != nil {
				t.Fatal(err)
			}
			tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spanExp, sdktrace.WithBlocking()))
			mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(pointExp)))
			lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logExp)))

			const n = 5000
			for i := range n {
				_, span := tp.Tracer("t").Start(ctx, strconv.Itoa(i))
				span.End()
			}
			counter, err := mp.Meter("t").Int64Counter("c")
			if err != nil {
				t.Fatal(err)
			}
			counter.Add(ctx, 1)
			var rec log.Record
			rec.SetSeverityText("INFO")
			for range 100 {
				lp.Logger("t").Emit(ctx, rec)
			}
			for _, stop := range []func(context.Context) error{tp.Shutdown, mp.Shutdown, lp.Shutdown, tr.Shutdown} {
				if err := stop(ctx); err != nil {
					t.Error(err)
				}
			}
			if len(s.spans) != n || s.records != 100 || s.points != 1 {
				t.Errorf("%d spans, %d log records, %d data points arrived: want %d, 100, 1", len(s.spans), s.records, s.points, n)
			}
			for sig, want := range map[delivery.Signal]int64{delivery.Traces: n, delivery.Logs: 100, delivery.Metrics: 1} {
				if st := tr.Stats(sig); st.Delivered != want || st.Queued != 0 || st.QueuedBytes != 0 || st.DroppedTotal() != 0 {
					t.Errorf("%v: %+v, want %d delivered and nothing else", sig, st, want)
				}
			}
			for _, r := range s.got {
				if r.Header.Get("Api-Key") != "k" || !strings.Contains(r.UserAgent(), "OTLP") || r.ContentLength <= 0 || (r.Header.Get("Content-Encoding") == "gzip") != gzip {
					t.Errorf("%s arrived with length %d and %v", r.URL.Path, r.ContentLength, r.Header)
				}
			}
		})
	}
}

func TestGzipRouteCompressesOnTheWireOnce(t *testing.T) {
	for name, compression := range map[string]otlptracehttp.Compression{"plain": otlptracehttp.NoCompression, "gzip": otlptracehttp.GzipCompression} {
		t.Run("exporter sends "+name, func(t *testing.T) {
			ctx := context.Background()
			s := newSink(t)
			tr := newTransport(t, quick(new(handled)))
			exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(s.URL+"/v1/traces"),
				otlptracehttp.WithCompression(compression), otlptracehttp.WithHTTPClient(tr.ClientVia(delivery.Traces, delivery.Route{Gzip: true})))
			if err != nil {
				t.Fatal(err)
			}
			tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
			_, span := tp.Tracer("t").Start(ctx, "a")
			span.End()
			if err := errors.Join(tp.Shutdown(ctx), tr.Shutdown(ctx)); err != nil {
				t.Fatal(err)
			}
			if lost, twice := s.lost([]string{"a"}); lost+twice != 0 || len(s.got) != 1 || s.got[0].Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%d lost, %d requests: want one, compressed", lost, len(s.got))
			}
		})
	}
}

func TestRepeatsUntilTaken(t *testing.T) {
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	// hang up before any answer, with a FIN or a reset.
	hangUp := func(reset bool) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			if tcp, ok := conn.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
		}
	}
	for name, fault := range map[string]func(http.ResponseWriter){
		"429": status(429), "502": status(502), "503": status(503), "504": status(504),
		"closed": hangUp(false), "reset": hangUp(true),
		"cut off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStoppedSink(t)
			var requests atomic.Int64
			s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				if requests.Add(1) <= 7 {
					fault(w)
					return true
				}
				return false
			}
			s.Start()
			var h handled
			tr := newTransport(t, quick(&h))
			names := postSpans(t, tr, s.URL, 0, 20)
			flush(t, tr)
			if lost, twice := s.lost(names); lost+twice != 0 {
				t.Errorf("%d lost, %d duplicates", lost, twice)
			}
			if st := tr.Stats(delivery.Traces); st.Delivered != 20 || st.Retried != 7 || st.DroppedTotal() != 0 {
				t.Errorf("%+v: want 20 delivered, 7 retried", st)
			}
			if told := h.all(t, tr); len(told) != 1 || !strings.Contains(told[0].Error(), s.URL) {
				t.Errorf("told %v: want the outage once, with its URL", told)
			}
		})
	}
}

func TestOutageLosesNothing(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		s := newSink(t)
		addr := s.Listener.Addr().String()
		tr := newTransport(t, quick(new(handled)))
		names := postSpans(t, tr, s.URL, 0, 50)
		flush(t, tr)
		s.CloseClientConnections()
		s.Close()
		names = append(names, postSpans(t, tr, "http://"+addr, 50, 200)...)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		var undelivered *delivery.UndeliveredError
		if err := tr.ForceFlush(ctx); !errors.As(err, &undelivered) || undelivered.Items != 200 {
			t.Errorf("flush while down: %v, want 200 spans undelivered", err)
		}
		back := restart(t, addr)
		flush(t, tr)
		maps.Copy(back.spans, s.spans)
		if lost, twice := back.lost(names); lost+twice != 0 {
			t.Errorf("%d lost, %d duplicates", lost, twice)
		}
	})
	t.Run("black hole", func(t *testing.T) {
		s := newStoppedSink(t)
		var dark atomic.Bool
		dark.Store(true)
		s.fault = func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			if dark.Load() {
				<-r.Context().Done()
				return true
			}
			return false
		}
		s.Start()
		cfg := quick(new(handled))
		cfg.Timeout = 100 * time.Millisecond
		tr := newTransport(t, cfg)
		names := postSpans(t, tr, s.URL, 0, 100)
		for tr.Stats(delivery.Traces).Retried < 2 {
			_ = tr.ForceFlush(context.Background())
		}
		dark.Store(false)
		flush(t, tr)
		if lost, twice := s.lost(names); lost+twice != 0 {
			t.Errorf("%d lost, %d duplicates", lost, twice)
		}
	})
}

func TestFinalAnswersAreNotRepeated(t *testing.T) {
	for _, code := range []int{401, 403, 404, 500, 501} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			s := newStoppedSink(t)
			var requests atomic.Int64
			s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				requests.Add(1)
				http.Error(w, "no such tenant", code)
				return true
			}
			s.Start()
			var h handled
			tr := newTransport(t, quick(&h))
			post(t, tr, delivery.Traces, s.URL, traceRequest("a", "b", "c"))
			flush(t, tr)
			st := tr.Stats(delivery.Traces)
			if requests.Load() != 1 || st.Dropped[strconv.Itoa(code)] != 3 || st.Queued != 0 || st.Delivered != 0 {
				t.Errorf("%d requests, %+v: want 1 and 3 spans dropped", requests.Load(), st)
			}
			h.all(t, tr)
			if d := h.drops(); len(d) != 1 || d[0].Items != 3 || !strings.Contains(d[0].Error(), "no such tenant") {
				t.Errorf("told %v: want 3 spans with the server's reason", d)
			}
		})
	}
}

// TestRedirects: those are followed that leave the request what it is.
func TestRedirects(t *testing.T) {
	for _, code := range []int{307, 308} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			s := newSink(t)
			front := httptest.NewServer(http.RedirectHandler(s.URL+"/v1/traces", code))
			defer front.Close()
			tr := newTransport(t, quick(new(handled)))
			names := postSpans(t, tr, front.URL, 0, 1)
			flush(t, tr)
			st := tr.Stats(delivery.Traces)
			if lost, _ := s.lost(names); lost > 0 || st.Delivered != 1 {
				t.Errorf("%d lost, %+v", lost, st)
			}
		})
	}
}

// TestRedirectToAnotherOrigin: headers hold credentials, and belong to the
// configured origin only.
func TestRedirectToAnotherOrigin(t *testing.T) {
	for rule, elsewhere := range map[string]bool{"the same origin": false, "another origin": true} {
		t.Run(rule, func(t *testing.T) {
			got := make(chan http.Header, 1)
			end := func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }
			other := httptest.NewServer(http.HandlerFunc(end))
			defer other.Close()
			mux := http.NewServeMux()
			front := httptest.NewServer(mux)
			defer front.Close()
			mux.HandleFunc("/end", end)
			target := front.URL
			if elsewhere {
				target = other.URL
			}
			mux.Handle("/v1/traces", http.RedirectHandler(target+"/end", http.StatusTemporaryRedirect))
			tr := newTransport(t, quick(new(handled)))
			exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithHTTPClient(tr.Client(delivery.Traces)),
				otlptracehttp.WithEndpointURL(front.URL+"/v1/traces?key=topsecret"), otlptracehttp.WithHeaders(map[string]string{"api-key": "topsecret", "Authorization": "Bearer topsecret"}))
			if err != nil {
				t.Fatal(err)
			}
			if err := exporter.ExportSpans(t.Context(), tracetest.SpanStubs{{Name: "n"}}.Snapshots()); err != nil {
				t.Fatal(err)
			}
			flush(t, tr)
			header := <-got
			if sent := strings.Contains(fmt.Sprint(header), "topsecret"); sent == elsewhere || header.Get("Content-Type") == "" {
				t.Errorf("sent %v", header)
			}
		})
	}
}

func TestTooLargeIsDivided(t *testing.T) {
	s := newStoppedSink(t)
	s.fault = func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		names := spanNames(body)
		if len(names) > 3 || names[0] == "huge" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		}
		return false
	}
	s.Start()
	tr := newTransport(t, quick(new(handled)))
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprint("n", i)
	}
	post(t, tr, delivery.Traces, s.URL, traceRequest(append([]string{"huge"}, names...)...))
	flush(t, tr)
	if lost, twice := s.lost(names); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
	if st := tr.Stats(delivery.Traces); st.Delivered != 50 || st.Dropped["413"] != 1 || st.Queued != 0 || st.QueuedBytes != 0 {
		t.Errorf("%+v: want 50 delivered and only the indivisible span dropped", st)
	}
}

func TestPartialSuccessIsCountedAndTold(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"protobuf": func(w http.ResponseWriter) {
			body, err := proto.Marshal(&coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "too old"}})
			if err != nil {
				panic(err)
			}
			w.Header().Set("Content-Type", "application/x-protobuf")
			_, _ = w.Write(body)
		},
		"json": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = io.WriteString(w, `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}`)
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			s := newStoppedSink(t)
			s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool { answer(w); return true }
			s.Start()
			var h handled
			tr := newTransport(t, quick(&h))
			post(t, tr, delivery.Traces, s.URL, traceRequest("a", "b", "c"))
			flush(t, tr)
			if st := tr.Stats(delivery.Traces); st.Delivered != 1 || st.Dropped["rejected"] != 2 {
				t.Errorf("%+v: want 1 delivered, 2 rejected", st)
			}
			h.all(t, tr)
			if d := h.drops(); len(d) != 1 || d[0].Items != 2 || !strings.Contains(d[0].Error(), "too old") {
				t.Errorf("told %v", d)
			}
		})
	}
}

func TestFullQueueDropsTheOldestOfTheGreedy(t *testing.T) {
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close() // nothing answers: refused
	var h handled
	cfg := quick(&h)
	cfg.QueueSize, cfg.SignalFloor = 64<<10, 16<<10
	cfg.MinBackoff, cfg.MaxBackoff = time.Hour, time.Hour
	cfg.Senders = 1
	tr := newTransport(t, cfg)

	post(t, tr, delivery.Metrics, "http://"+addr, make([]byte, 4<<10))
	const n = 2000
	names := postSpans(t, tr, "http://"+addr, 0, n)
	st := tr.Stats(delivery.Traces)
	if st.QueuedBytes > cfg.QueueSize || st.Queued+st.Dropped["queue_full"] != n || st.Queued < 20 {
		t.Fatalf("%+v: want %d queued or dropped, within the bound", st, n)
	}
	if m := tr.Stats(delivery.Metrics); m.QueuedBytes == 0 {
		t.Error("a request of a signal below its floor went")
	}
	if d := h.drops(); len(d) != 1 || d[0].Reason != "queue_full" {
		t.Errorf("told %v: want it once", d)
	}
	for tr.Stats(delivery.Metrics).Retried+tr.Stats(delivery.Traces).Retried < 2 {
		runtime.Gosched() // an attempt that fails only after the restart would be made again in an hour
	}
	back := restart(t, addr)
	flush(t, tr)
	queued := int(st.Queued)
	if lost, _ := back.lost(names[n-queued+10:]); lost != 0 {
		t.Errorf("%d of the newest spans are lost", lost)
	}
	if err := tr.Shutdown(context.Background()); !errors.As(err, new(*delivery.UndeliveredError)) {
		t.Error(err)
	}
	total := int64(0)
	for _, d := range h.drops() {
		total += d.Items
	}
	if total != st.Dropped["queue_full"] {
		t.Errorf("told of %d dropped spans in all, counted %d", total, st.Dropped["queue_full"])
	}
}

func TestShutdownKeepsTheDeadlineAndSaysHowMany(t *testing.T) {
	blackHole := newStoppedSink(t)
	blackHole.fault = func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		<-r.Context().Done()
		return true
	}
	blackHole.Start()
	unavailable := newStoppedSink(t)
	unavailable.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	unavailable.Start()
	refused := newStoppedSink(t)
	_ = refused.Listener.Close()

	for name, url := range map[string]string{"black hole": blackHole.URL, "503": unavailable.URL, "refused": "http://" + refused.Listener.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			tr := newTransport(t, quick(new(handled)))
			postSpans(t, tr, url, 0, 30)
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			err := tr.Shutdown(ctx)
			var u *delivery.UndeliveredError
			if !errors.As(err, &u) || u.Items != 30 || u.Signal != delivery.Traces || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v, want 30 spans named", err)
			}
			if st := tr.Stats(delivery.Traces); st.Dropped["shutdown"] != 30 || st.Queued != 0 {
				t.Errorf("%+v: want 30 dropped by shutdown", st)
			}
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tr.Client(delivery.Traces).Do(req)
			if !errors.Is(err, delivery.ErrShutdown) {
				t.Errorf("request after Shutdown: %v", err)
				_ = resp.Body.Close()
			}
		})
	}
}

func TestConfigErrorsNameTheField(t *testing.T) {
	for field, cfg := range map[string]delivery.Config{
		"QueueSize":   {QueueSize: 1000},
		"SignalFloor": {QueueSize: 1 << 20, SignalFloor: 1 << 20},
		"Senders":     {Senders: -1},
		"Timeout":     {Timeout: -1},
		"MinBackoff":  {MinBackoff: time.Minute},
		"Linger":      {Linger: -1},
		"Journal":     {Journal: true},

		"RefusedTimeout": {RefusedTimeout: -1},
	} {
		if _, err := delivery.New(cfg); err == nil || !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("%s: error is %v", field, err)
		}
	}
}

// must skips the test if it lacks a right that it needs, such as that to mount.
func must(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
