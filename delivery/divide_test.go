package delivery_test

import (
	"fmt"
	"math/bits"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	collogpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
)

func logRequest(bodies ...string) []byte {
	records := make([]*logspb.LogRecord, len(bodies))
	for i, body := range bodies {
		records[i] = &logspb.LogRecord{Body: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: body}}}
	}
	body, err := proto.Marshal(&collogpb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		ScopeLogs: []*logspb.ScopeLogs{{LogRecords: records}},
	}}})
	if err != nil {
		panic(err)
	}
	return body
}

func metricRequest(names ...string) []byte {
	metrics := make([]*metricpb.Metric, len(names))
	for i, name := range names {
		metrics[i] = &metricpb.Metric{Name: name, Data: &metricpb.Metric_Gauge{Gauge: &metricpb.Gauge{DataPoints: []*metricpb.NumberDataPoint{{}}}}}
	}
	body, err := proto.Marshal(&colmetricpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricpb.ResourceMetrics{{
		ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: metrics}},
	}}})
	if err != nil {
		panic(err)
	}
	return body
}

// TestCulpritIsFound: one item that the server does not take is dropped and named, and
// the rest of its batch arrives.
func TestCulpritIsFound(t *testing.T) {
	const n, culprit = 500, "evil\n\x1b[2J"
	for _, tc := range []struct {
		signal  delivery.Signal
		request func(...string) []byte
		named   string
	}{
		{delivery.Traces, traceRequest, `span "evil\n\x1b[2J" of trace 00000000000000000000000000000000`},
		{delivery.Metrics, metricRequest, `metric "evil\n\x1b[2J"`},
		{delivery.Logs, logRequest, `log record "evil\n\x1b[2J"`},
	} {
		for _, code := range []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge} {
			for _, alone := range []bool{false, true} { // each item in a request of its own that lingers
				t.Run(fmt.Sprint(tc.signal, " ", code, " alone=", alone), func(t *testing.T) {
					s := newStoppedSink(t)
					var requests atomic.Int64
					s.fault = func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
						requests.Add(1)
						if strings.Contains(string(body), culprit) {
							http.Error(w, "no", code)
							return true
						}
						return false
					}
					s.Start()
					var h handled
					cfg := quick(&h)
					cfg.Linger, cfg.SpoolDir = time.Hour, t.TempDir()
					tr := newTransport(t, cfg)
					names := make([]string, n)
					for i := range names {
						names[i] = fmt.Sprint("n", i)
					}
					all := slices.Insert(slices.Clone(names), n/3, culprit)
					if alone {
						for _, name := range all {
							post(t, tr, tc.signal, s.URL, tc.request(name))
						}
					} else {
						post(t, tr, tc.signal, s.URL, tc.request(all...))
					}
					flush(t, tr)
					arrived := map[delivery.Signal]int{delivery.Traces: len(s.spans), delivery.Metrics: s.points, delivery.Logs: s.records}
					if arrived[tc.signal] != n {
						t.Errorf("%d of %d items arrived", arrived[tc.signal], n)
					}
					if most := int64(2*bits.Len(n) + 1); requests.Load() > most {
						t.Errorf("%d requests; want at most %d", requests.Load(), most)
					}
					if st := tr.Stats(tc.signal); st.Delivered != n || st.Dropped[strconv.Itoa(code)] != 1 || st.Queued != 0 || st.QueuedBytes != 0 {
						t.Errorf("%+v: want %d delivered and one dropped", st, n)
					}
					h.all(t, tr)
					if d := h.drops(); len(d) != 1 || d[0].Items != 1 || !strings.Contains(d[0].Error(), tc.named) {
						t.Errorf("told %q; want %s", d, tc.named)
					}
				})
			}
		}
	}
}

// TestManyCulpritsAreFound: a server that takes most requests has them divided until
// the last culprit is found.
func TestManyCulpritsAreFound(t *testing.T) {
	s := newSends(func(_ int, names []string) ([]byte, error) {
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "evil") }) {
			return nil, &delivery.SendError{Reason: "RESOURCE_EXHAUSTED", Divide: true}
		}
		return nil, nil
	})
	tr := newTransport(t, quick(new(handled)))
	client := tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target})
	good, evil := 0, 0
	for batch := range 20 {
		var names []string
		for i := range 200 {
			if batch > 0 && i%10 == 3 {
				names = append(names, fmt.Sprint("evil", evil))
				evil++
				continue
			}
			names = append(names, fmt.Sprint("good", good))
			good++
		}
		via(t, client, target, traceRequest(names...))
	}
	flush(t, tr)
	if st := tr.Stats(delivery.Traces); len(s.spans) != good || st.Delivered != int64(good) || st.Dropped["RESOURCE_EXHAUSTED"] != int64(evil) {
		t.Errorf("%d of %d arrived, %+v; want %d dropped", len(s.spans), good, st, evil)
	}
}

// TestServerThatTakesNothingCostsLittle: a server that answers 400 whatever it gets is
// not sent each item on its own, and gets everything again when it is mended.
func TestServerThatTakesNothingCostsLittle(t *testing.T) {
	const batches, size = 50, 200
	s := newStoppedSink(t)
	var requests atomic.Int64
	var mended atomic.Bool
	s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		if requests.Add(1); mended.Load() {
			return false
		}
		http.Error(w, "no such tenant", http.StatusBadRequest)
		return true
	}
	s.Start()
	tr := newTransport(t, quick(new(handled)))
	batch := func(i int) (names []string) {
		for j := range size {
			names = append(names, fmt.Sprint(i, " ", j))
		}
		post(t, tr, delivery.Traces, s.URL, traceRequest(names...))
		return names
	}
	for i := range batches {
		batch(i)
	}
	flush(t, tr)
	t.Logf("%d batches of %d spans: %d requests", batches, size, requests.Load())
	if requests.Load() > 3*batches {
		t.Errorf("%d requests for %d batches", requests.Load(), batches)
	}
	if st := tr.Stats(delivery.Traces); st.Dropped["400"] != batches*size || st.Queued != 0 {
		t.Errorf("%+v: want everything dropped and counted", st)
	}
	mended.Store(true)
	names := batch(batches)
	flush(t, tr)
	if lost, twice := s.lost(names); lost+twice != 0 {
		t.Errorf("mended: %d lost, %d twice", lost, twice)
	}
}

// TestPartsKeepTheOrder: the parts of a divided batch are sent before what was handed
// over after it, and in their order.
func TestPartsKeepTheOrder(t *testing.T) {
	var order []string
	s := newSends(func(_ int, names []string) ([]byte, error) {
		if len(names) > 4 {
			return nil, &delivery.SendError{Reason: "RESOURCE_EXHAUSTED", Divide: true}
		}
		order = append(order, names...)
		return nil, nil
	})
	cfg := quick(new(handled))
	cfg.Senders = 1
	tr := newTransport(t, cfg)
	client := tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target})
	var names []string
	for i := range 64 {
		names = append(names, fmt.Sprintf("%02d", i))
	}
	for part := range slices.Chunk(names, 16) {
		via(t, client, target, traceRequest(part...))
	}
	flush(t, tr)
	if !slices.Equal(order, names) {
		t.Errorf("sent in the order %v", order)
	}
}

// FuzzPartsHoldEveryItem divides arbitrary requests down to single items: what is a
// valid message must arrive whole and in order.
func FuzzPartsHoldEveryItem(f *testing.F) {
	f.Add(traceRequest("a", "b", "c"))
	f.Add(slices.Concat(traceRequest("a"), traceRequest("b", "c"), traceRequest()))
	f.Add([]byte{0x0a, 0x02, 0x12, 0x00})
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		want := spanNames(body)
		if decoded(delivery.Traces, body) < 0 || len(want) > 16 {
			return
		}
		var got []string
		s := newSends(func(_ int, names []string) ([]byte, error) {
			if len(names) > 1 {
				return nil, &delivery.SendError{Reason: "RESOURCE_EXHAUSTED", Divide: true}
			}
			got = append(got, names...)
			return nil, nil
		})
		cfg := quick(new(handled))
		cfg.Senders = 1
		tr := newTransport(t, cfg)
		via(t, tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target}), target, body)
		flush(t, tr)
		if !slices.Equal(got, want) {
			t.Errorf("%q arrived of %q", got, want)
		}
	})
}
