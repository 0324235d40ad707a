//go:build unix

package view_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpjson"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/view"
)

// BenchmarkReceive takes in requests of 512 spans with ten attributes each, as
// an exporter sends them, into a ring that is full, without a file and with one.
// The required rate on one core is 20,000 spans/s:
//
//	go test -run '^$' -bench Receive -cpu 1 ./internal/view
func BenchmarkReceive(b *testing.B) {
	for _, test := range []struct {
		name, encoding string
		file           bool
	}{{"protobuf", "protobuf", false}, {"protobuf-file", "protobuf", true}, {"JSON", "JSON", false}, {"JSON-file", "JSON", true}} {
		encoding := test.encoding
		b.Run(test.name, func(b *testing.B) {
			const batch = 512
			bodies := make([][]byte, 64)
			for i := range bodies {
				bodies[i] = batchBody(b, encoding, i*batch, batch)
			}
			contentType := map[string]string{"protobuf": "application/x-protobuf", "JSON": "application/json"}[encoding]
			ring := view.NewRing(8 << 20) // smaller than all bodies, so that it turns over
			var sink otlpreceiver.Sink = ring
			if test.file {
				journal, _, err := view.OpenJournal(ring, filepath.Join(b.TempDir(), "traces"), func(err error) { b.Error(err) })
				if err != nil {
					b.Fatal(err)
				}
				defer journal.Close() //nolint:errcheck // it is not read again
				sink = journal
			}
			h := otlpreceiver.Handler(sink)
			b.ReportAllocs()
			i, before := 0, cpuTime(b)
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/traces", bytes.NewReader(bodies[i%len(bodies)]))
				r.Header.Set("Content-Type", contentType)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
				i++
			}
			s := ring.Stats()
			if s.Dropped+s.Duplicates > 0 || s.Received != int64(i*batch) {
				b.Fatalf("lost spans: %+v, sent %d", s, i*batch)
			}
			b.ReportMetric(float64(s.Received)/b.Elapsed().Seconds(), "spans/s")
			b.ReportMetric(float64(s.Received)/(cpuTime(b)-before).Seconds(), "spans/cpu-s")
		})
	}
}

// cpuTime is what this process has used: unlike the time that went by, it does
// not depend on what else the machine does.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func batchBody(b *testing.B, encoding string, first, n int) []byte {
	b.Helper()
	var spans []span
	for i := range n {
		k := first + i
		s := span{trace: k/8 + 1, id: k%8 + 1, parent: k % 8, service: "shop", name: "GET /products/{id}", from: 1000, to: 1010}
		for a := range 10 {
			s.attrs = append(s.attrs, fmt.Sprintf("attribute.key.%d", a), fmt.Sprintf("value %d of the attribute", a))
		}
		spans = append(spans, s)
	}
	req := request(spans...)
	// One resource and scope for all, as exporters send.
	for _, r := range req.GetResourceSpans()[1:] {
		req.ResourceSpans[0].ScopeSpans[0].Spans = append(req.ResourceSpans[0].ScopeSpans[0].Spans, r.GetScopeSpans()[0].GetSpans()...)
	}
	req.ResourceSpans = req.GetResourceSpans()[:1]
	body, err := otlpjson.Marshal(req)
	if encoding == "protobuf" {
		body, err = proto.Marshal(req)
	}
	if err != nil {
		b.Fatal(err)
	}
	return body
}
