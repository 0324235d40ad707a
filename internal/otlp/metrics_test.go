package otlp_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
)

// stockMetrics is the exporter that the encoder is compared with.
type stockMetrics struct {
	*otlpmetrichttp.Exporter
	sent chan []byte // what the collector received
}

// newStockMetrics returns an exporter to a collector that takes everything.
func newStockMetrics(tb testing.TB) *stockMetrics {
	tb.Helper()
	s := &stockMetrics{sent: make(chan []byte, 1)}
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.sent <- body
	}))
	tb.Cleanup(collector.Close)
	s.Exporter = newStockExporter(tb, collector.URL, collector.Client())
	return s
}

func newStockExporter(tb testing.TB, url string, client *http.Client) *otlpmetrichttp.Exporter {
	tb.Helper()
	exporter, err := otlpmetrichttp.New(context.Background(), otlpmetrichttp.WithEndpointURL(url), otlpmetrichttp.WithHTTPClient(client))
	if err != nil {
		tb.Fatal(err)
	}
	return exporter
}

// metricDifferences are the intended differences to what otlpmetrichttp sends. Each
// function makes the request of otlpmetrichttp, or ours, as it would be without one.
var metricDifferences = []struct {
	reason string
	alike  func(*colmetrics.ExportMetricsServiceRequest)
}{
	{"A resource without attributes and an instrumentation scope without name, version and attributes may be left out: no one can tell it from an empty one.",
		func(m *colmetrics.ExportMetricsServiceRequest) {
			for _, rm := range m.ResourceMetrics {
				if proto.Size(rm.Resource) == 0 {
					rm.Resource = nil
				}
				for _, sm := range rm.ScopeMetrics {
					if proto.Size(sm.Scope) == 0 {
						sm.Scope = nil
					}
				}
			}
		}},
	// Text that is not UTF-8 becomes U+FFFD; otlpmetrichttp sends nothing of the whole
	// request. So it is given the repaired text: see randomInput.text.
}

func decodeMetrics(tb testing.TB, body []byte) *colmetrics.ExportMetricsServiceRequest {
	tb.Helper()
	m := &colmetrics.ExportMetricsServiceRequest{}
	if err := proto.Unmarshal(body, m); err != nil {
		tb.Fatal(err)
	}
	return m
}

// compareMetrics encodes what generate makes and compares it with what stock sends for
// the same with all text repaired.
func compareMetrics(t *testing.T, stock *stockMetrics, generate func(*randomInput) *metricdata.ResourceMetrics, source func() rand.Source) {
	t.Helper()
	stockErr := stock.Export(context.Background(), generate(&randomInput{Rand: rand.New(source()), repair: true}))

	var sent [][]byte
	var points int64
	err := otlp.Metrics(generate(&randomInput{Rand: rand.New(source())}), nil, 0, func(request []byte, n int64) {
		sent, points = append(sent, request), points+n
	})
	if len(sent) != 1 || len(stock.sent) != 1 {
		t.Fatalf("%d requests, stock %d (%v)", len(sent), len(stock.sent), stockErr)
	}
	got, want := decodeMetrics(t, sent[0]), decodeMetrics(t, <-stock.sent)
	if n := int64(countPoints(got)); n != points {
		t.Errorf("told of %d data points, sent %d", points, n)
	}
	for _, d := range metricDifferences {
		d.alike(got)
		d.alike(want)
	}
	if !proto.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", prototext.Format(got), prototext.Format(want))
	}
	if (err == nil) != (stockErr == nil) {
		t.Fatalf("error %v, stock %v", err, stockErr)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if line = strings.ToValidUTF8(line, "\uFFFD"); !strings.Contains(stockErr.Error(), repairQuoted(line)) {
				t.Errorf("error %q, stock %q", line, stockErr)
			}
		}
	}
}

// repairQuoted repairs text that was quoted before.
func repairQuoted(s string) string { return strings.ReplaceAll(s, `\xff\xfe`, "\uFFFD") }

func TestMetricsEqualStock(t *testing.T) {
	stock := newStockMetrics(t)
	for seed := range uint64(500) {
		compareMetrics(t, stock, (*randomInput).resourceMetrics, func() rand.Source { return rand.NewPCG(seed, 0) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzMetricsEqualStock(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x10\x20\x30\x40\x50\x60\x70\x80"))
	f.Add([]byte(strings.Repeat("\xff\xa5\x5a\x00", 100)))
	stock := newStockMetrics(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		compareMetrics(t, stock, (*randomInput).resourceMetrics, func() rand.Source { return &fuzzSource{data, rand.NewPCG(0, 0)} })
	})
}

// fuzzSource takes its numbers from data, then from another source.
type fuzzSource struct {
	data []byte
	next rand.Source
}

func (s *fuzzSource) Uint64() (n uint64) {
	if len(s.data) == 0 {
		return s.next.Uint64()
	}
	for i := range 8 {
		if len(s.data) > 0 { // the last byte first: it decides a small random number
			n |= uint64(s.data[0]) << (56 - 8*i)
			s.data = s.data[1:]
		}
	}
	return n
}

func TestMetrics(t *testing.T) {
	named := resource.NewWithAttributes("schema", attribute.String("service.name", "shop"))
	gauge := func(name string) metricdata.Metrics {
		return metricdata.Metrics{Name: name, Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Value: 1}}}}
	}
	for _, tt := range []struct {
		rule     string
		rm       *metricdata.ResourceMetrics
		resource *resource.Resource
		want     string // text of the only request; "none"
		points   int64
		wantErr  string
	}{
		{rule: "nil is nothing", want: "none"},
		{rule: "the resource given replaces the other", rm: &metricdata.ResourceMetrics{Resource: resource.Empty()}, resource: named,
			want: `resource_metrics:{resource:{attributes:{key:"service.name" value:{string_value:"shop"}}} schema_url:"schema"}`},
		{rule: "a metric of unknown aggregation is an error, the rest is sent", rm: &metricdata.ResourceMetrics{Resource: named, ScopeMetrics: []metricdata.ScopeMetrics{{
			Scope: instrumentation.Scope{Name: "s"}, Metrics: []metricdata.Metrics{{Name: "bad", Unit: "By"}, gauge("good"), {Name: "worse", Data: &metricdata.Gauge[int64]{}}},
		}}}, points: 1, wantErr: `invalid metric (name: "bad", description: "", unit: "By"): unknown aggregation: <nil>
invalid metric (name: "worse", description: "", unit: ""): unknown aggregation: *metricdata.Gauge[int64]`,
			want: `resource_metrics:{resource:{attributes:{key:"service.name" value:{string_value:"shop"}}} scope_metrics:{scope:{name:"s"} ` +
				`metrics:{name:"good" gauge:{data_points:{as_int:1}}}} schema_url:"schema"}`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := []string{}
			err := otlp.Metrics(tt.rm, tt.resource, 0, func(request []byte, points int64) {
				if points != tt.points {
					t.Errorf("told of %d points", points)
				}
				got = append(got, prototext.MarshalOptions{}.Format(decodeMetrics(t, request)))
			})
			if err == nil != (tt.wantErr == "") || err != nil && err.Error() != tt.wantErr {
				t.Errorf("error %v, want %v", err, tt.wantErr)
			}
			want := []string{tt.want}
			if tt.want == "none" {
				want = want[:0]
			}
			for i := range got { // prototext varies its spaces on purpose
				got[i] = strings.ReplaceAll(got[i], "  ", " ")
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
}

// randomInput makes input from random choices.
type randomInput struct {
	*rand.Rand
	repair bool // text is UTF-8
}

func (g *randomInput) text() string {
	s := []string{"", "a", "requests", "größe 大", "\xff\xfe", "a\xff\xfeb", strings.Repeat("long ", 40), "\x00\"\\"}[g.IntN(8)]
	if g.repair {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

func (g *randomInput) time() time.Time {
	return []time.Time{{}, time.Unix(0, 0), time.Unix(1700000000, 123456789), time.Unix(-5, 0), time.Unix(0, math.MaxInt64)}[g.IntN(5)]
}

func (g *randomInput) double() float64 {
	return []float64{0, math.Copysign(0, -1), 1, -1.5, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}[g.IntN(9)]
}

func (g *randomInput) integer() int64 {
	return []int64{0, 1, -1, 127, 128, math.MaxInt64, math.MinInt64, int64(g.Uint64())}[g.IntN(8)]
}

func (g *randomInput) attributes() []attribute.KeyValue {
	var list []attribute.KeyValue
	for i := range g.IntN(4) {
		kv := attribute.KeyValue{Key: attribute.Key(fmt.Sprintf("%d%s", i, g.text()))}
		switch g.IntN(4) {
		case 0:
			kv.Value = attribute.StringValue(g.text())
		case 1:
			kv.Value = attribute.Int64Value(g.integer())
		case 2:
			kv.Value = attribute.Float64Value(g.double())
		default:
			kv.Value = attribute.BoolValue(g.IntN(2) == 1)
		}
		list = append(list, kv)
	}
	return list
}

func (g *randomInput) set() attribute.Set { return attribute.NewSet(g.attributes()...) }

func (g *randomInput) resourceMetrics() *metricdata.ResourceMetrics {
	rm := &metricdata.ResourceMetrics{Resource: resource.NewWithAttributes(g.text(), g.attributes()...)}
	rm.ScopeMetrics = randomList(g, 3, func() metricdata.ScopeMetrics {
		return metricdata.ScopeMetrics{
			Scope:   instrumentation.Scope{Name: g.text(), Version: g.text(), SchemaURL: g.text(), Attributes: g.set()},
			Metrics: randomList(g, 5, g.metric),
		}
	})
	return rm
}

func (g *randomInput) metric() metricdata.Metrics {
	m := metricdata.Metrics{Name: g.text(), Description: g.text(), Unit: g.text()}
	switch g.IntN(11) {
	case 0:
		m.Data = metricdata.Gauge[int64]{DataPoints: randomList(g, 4, randomNumber(g, g.integer))}
	case 1:
		m.Data = metricdata.Gauge[float64]{DataPoints: randomList(g, 4, randomNumber(g, g.double))}
	case 2:
		m.Data = metricdata.Sum[int64]{Temporality: g.temporality(), IsMonotonic: g.IntN(2) == 1, DataPoints: randomList(g, 4, randomNumber(g, g.integer))}
	case 3:
		m.Data = metricdata.Sum[float64]{Temporality: g.temporality(), IsMonotonic: g.IntN(2) == 1, DataPoints: randomList(g, 4, randomNumber(g, g.double))}
	case 4:
		m.Data = metricdata.Histogram[int64]{Temporality: g.temporality(), DataPoints: randomList(g, 4, randomHistogram(g, g.integer))}
	case 5:
		m.Data = metricdata.Histogram[float64]{Temporality: g.temporality(), DataPoints: randomList(g, 4, randomHistogram(g, g.double))}
	case 6:
		m.Data = metricdata.ExponentialHistogram[int64]{Temporality: g.temporality(), DataPoints: randomList(g, 4, randomExponential(g, g.integer))}
	case 7:
		m.Data = metricdata.ExponentialHistogram[float64]{Temporality: g.temporality(), DataPoints: randomList(g, 4, randomExponential(g, g.double))}
	case 8:
		m.Data = metricdata.Summary{DataPoints: randomList(g, 4, g.summary)}
	case 9:
		m.Data = &metricdata.Summary{}
	}
	return m
}

func (g *randomInput) temporality() metricdata.Temporality {
	return []metricdata.Temporality{metricdata.CumulativeTemporality, metricdata.DeltaTemporality, metricdata.CumulativeTemporality, 0, 7}[g.IntN(5)]
}

func (g *randomInput) summary() metricdata.SummaryDataPoint {
	return metricdata.SummaryDataPoint{
		Attributes: g.set(), StartTime: g.time(), Time: g.time(), Count: uint64(g.integer()), Sum: g.double(),
		QuantileValues: randomList(g, 3, func() metricdata.QuantileValue {
			return metricdata.QuantileValue{Quantile: g.double(), Value: g.double()}
		}),
	}
}

func (g *randomInput) counts() []uint64 {
	return randomList(g, 4, func() uint64 { return uint64(g.integer()) })
}

// randomList returns up to n-1 elements, and nil or an empty list for none.
func randomList[T any](g *randomInput, n int, element func() T) []T {
	var l []T
	if g.IntN(2) == 1 {
		l = []T{}
	}
	for range g.IntN(n) {
		l = append(l, element())
	}
	return l
}

func randomExemplars[N int64 | float64](g *randomInput, value func() N) []metricdata.Exemplar[N] {
	return randomList(g, 3, func() metricdata.Exemplar[N] {
		e := metricdata.Exemplar[N]{FilteredAttributes: g.attributes(), Time: g.time(), Value: value()}
		if g.IntN(2) == 1 {
			e.TraceID, e.SpanID = []byte("0123456789abcdef"), []byte("01234567")
		}
		return e
	})
}

func randomNumber[N int64 | float64](g *randomInput, value func() N) func() metricdata.DataPoint[N] {
	return func() metricdata.DataPoint[N] {
		return metricdata.DataPoint[N]{Attributes: g.set(), StartTime: g.time(), Time: g.time(), Value: value(), Exemplars: randomExemplars(g, value)}
	}
}

func randomExtrema[N int64 | float64](g *randomInput, value func() N) (e metricdata.Extrema[N]) {
	if g.IntN(2) == 1 {
		e = metricdata.NewExtrema(value())
	}
	return e
}

func randomHistogram[N int64 | float64](g *randomInput, value func() N) func() metricdata.HistogramDataPoint[N] {
	return func() metricdata.HistogramDataPoint[N] {
		return metricdata.HistogramDataPoint[N]{
			Attributes: g.set(), StartTime: g.time(), Time: g.time(), Count: uint64(g.integer()), Sum: value(),
			Bounds: randomList(g, 4, g.double), BucketCounts: g.counts(),
			Min: randomExtrema(g, value), Max: randomExtrema(g, value), Exemplars: randomExemplars(g, value),
		}
	}
}

func randomExponential[N int64 | float64](g *randomInput, value func() N) func() metricdata.ExponentialHistogramDataPoint[N] {
	return func() metricdata.ExponentialHistogramDataPoint[N] {
		bucket := func() metricdata.ExponentialBucket {
			return metricdata.ExponentialBucket{Offset: int32(g.integer()), Counts: g.counts()}
		}
		return metricdata.ExponentialHistogramDataPoint[N]{
			Attributes: g.set(), StartTime: g.time(), Time: g.time(), Count: uint64(g.integer()), Sum: value(),
			Scale: int32(g.integer()), ZeroCount: uint64(g.integer()), ZeroThreshold: g.double(),
			PositiveBucket: bucket(), NegativeBucket: bucket(),
			Min: randomExtrema(g, value), Max: randomExtrema(g, value), Exemplars: randomExemplars(g, value),
		}
	}
}

// takePoints returns the data points of a metric, and removes them from it.
func takePoints(m *metricspb.Metric) (points []proto.Message) {
	switch d := m.Data.(type) {
	case *metricspb.Metric_Gauge:
		points, d.Gauge.DataPoints = asMessages(d.Gauge.DataPoints), nil
	case *metricspb.Metric_Sum:
		points, d.Sum.DataPoints = asMessages(d.Sum.DataPoints), nil
	case *metricspb.Metric_Histogram:
		points, d.Histogram.DataPoints = asMessages(d.Histogram.DataPoints), nil
	case *metricspb.Metric_ExponentialHistogram:
		points, d.ExponentialHistogram.DataPoints = asMessages(d.ExponentialHistogram.DataPoints), nil
	case *metricspb.Metric_Summary:
		points, d.Summary.DataPoints = asMessages(d.Summary.DataPoints), nil
	}
	return points
}

func asMessages[M proto.Message](list []M) (out []proto.Message) {
	for _, m := range list {
		out = append(out, m)
	}
	return out
}

func countPoints(r *colmetrics.ExportMetricsServiceRequest) (n int) {
	for _, rm := range r.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				n += len(takePoints(proto.CloneOf(m)))
			}
		}
	}
	return n
}
