package otlpreceiver_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		b := otlpreceiver.NewBudget(100)
		first, second := b.Hold(), b.Hold()
		if err := first.Add(ctx, 101); err == nil || errors.Is(err, otlpreceiver.ErrBusy) {
			t.Errorf("more than there is: %v", err)
		}
		if err := first.Add(ctx, 60); err != nil {
			t.Fatal(err)
		}
		if err := first.Add(ctx, 41); err == nil || errors.Is(err, otlpreceiver.ErrBusy) {
			t.Errorf("more than there is, in two parts: %v", err)
		}
		if err := second.Add(ctx, 50); !errors.Is(err, otlpreceiver.ErrBusy) {
			t.Errorf("what another has: %v", err)
		}
		waited := make(chan error)
		go func() { waited <- second.Add(ctx, 50) }()
		synctest.Wait()
		first.Release()
		first.Release()
		if err := <-waited; err != nil {
			t.Errorf("what another gave back: %v", err)
		}
		second.Release()
		if err := first.Add(ctx, 100); err != nil {
			t.Errorf("everything was given back: %v", err)
		}
	})
}

// TestAnnouncedBytesTakeNoMemory sends requests that say they are large.
func TestAnnouncedBytesTakeNoMemory(t *testing.T) {
	h := otlpreceiver.New(&otlpreceiver.Store{}, otlpreceiver.NewBudget(1<<20)).HTTP()
	reader, writer := io.Pipe()
	defer writer.Close() //nolint:errcheck // it cannot fail
	ended := make(chan int)
	for range 50 {
		go func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/traces", reader)
			r.ContentLength = otlpreceiver.MaxBody
			r.Header.Set("Content-Type", protobuf)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			ended <- w.Code
		}()
	}
	writer.CloseWithError(io.ErrUnexpectedEOF) //nolint:errcheck // it cannot fail
	for range 50 {
		if code := <-ended; code != http.StatusBadRequest {
			t.Errorf("status %d", code)
		}
	}
}

func TestRequestBeyondTheBudgetIsRefused(t *testing.T) {
	var store otlpreceiver.Store
	h := otlpreceiver.New(&store, otlpreceiver.NewBudget(1<<20)).HTTP()
	manySpans := wrap(wrap([]byte(strings.Repeat("\x12\x00", 50_000)), 2), 1)
	for name, body := range map[string][]byte{
		"large": make([]byte, 2<<20), "large when decoded": manySpans, "large JSON": []byte(`{"resourceSpans":[` + strings.Repeat("{},", 50_000) + `{}]}`),
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/traces", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", protobuf)
		if body[0] == '{' {
			r.Header.Set("Content-Type", asJSON)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || len(store.Spans()) > 0 {
			t.Errorf("%s: status %d, %d spans", name, w.Code, len(store.Spans()))
		}
	}
	if w := post(&store, "/v1/traces", protobuf, "", marshal(t, request())); w.Code != http.StatusOK {
		t.Errorf("an ordinary request afterwards: status %d", w.Code)
	}
}

// TestCostIsMemory compares the cost with what the decoder allocates, for
// requests that have one field many times, every field in turn.
func TestCostIsMemory(t *testing.T) {
	for _, msg := range []proto.Message{&tracepb.TracesData{}, &logspb.LogsData{}, &metricspb.MetricsData{}} {
		eachField(msg.ProtoReflect().Descriptor(), nil, func(path []protoreflect.FieldDescriptor) {
			for _, value := range [][]byte{{}, {1}, make([]byte, 1000)} {
				last := path[len(path)-1]
				body := repeated(last, value, 300)
				for i := len(path) - 2; i >= 0; i-- {
					body = wrap(body, byte(path[i].Number())) //nolint:gosec // small
				}
				cost, err := otlpreceiver.CostOfBinary(body, msg)
				if err != nil {
					continue // a message that does not parse
				}
				var kept [20]proto.Message
				before := allocated()
				for i := range kept {
					kept[i] = proto.CloneOf(msg)
					if proto.Unmarshal(body, kept[i]) != nil {
						return
					}
				}
				used := float64(allocated()-before) / float64(len(kept))
				if float64(cost) < 0.95*used-1000 {
					t.Errorf("%s of %d bytes: cost %d, allocated %.0f", last.FullName(), len(value), cost, used)
				}
				runtime.KeepAlive(kept)
			}
		})
	}
}

// eachField visits the fields of a message and of those in it, each once.
func eachField(md protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor, visit func([]protoreflect.FieldDescriptor)) {
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor, []protoreflect.FieldDescriptor)
	walk = func(md protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor) {
		if seen[md.FullName()] {
			return
		}
		seen[md.FullName()] = true
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			here := slices.Concat(path, []protoreflect.FieldDescriptor{fd})
			visit(here)
			if fd.Message() != nil {
				walk(fd.Message(), here)
			}
		}
	}
	walk(md, path)
}

// repeated is a field n times with the same value; numbers are once so many
// bytes, since the decoder copies them for each further time.
func repeated(fd protoreflect.FieldDescriptor, value []byte, n int) []byte {
	var one []byte
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.StringKind, protoreflect.BytesKind:
		one = wrap(value, byte(fd.Number())) //nolint:gosec // small
	default:
		if !fd.IsPacked() {
			return nil
		}
		one = wrap(make([]byte, n*len(value)&^7), byte(fd.Number())) //nolint:gosec // small
		n = 1
	}
	return []byte(strings.Repeat(string(one), n))
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
