package sloghandler_test

import (
	"context"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/embedded"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a logger provider that keeps what is emitted.
type recorder struct {
	embedded.LoggerProvider
	mu      sync.Mutex
	name    string
	records []log.Record
}

func (r *recorder) Logger(name string, _ ...log.LoggerOption) log.Logger {
	r.name = name
	return recording{rec: r}
}

type recording struct {
	embedded.Logger
	rec *recorder
}

func (recording) Enabled(context.Context, log.EnabledParameters) bool { return true }

func (r recording) Emit(_ context.Context, record log.Record) {
	r.rec.mu.Lock()
	defer r.rec.mu.Unlock()
	r.rec.records = append(r.rec.records, record)
}

// take returns what was emitted since the last call.
func (r *recorder) take() []log.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.records
	r.records = nil
	return taken
}

func (r *recorder) one(tb testing.TB) log.Record {
	tb.Helper()
	taken := r.take()
	if len(taken) != 1 {
		tb.Fatalf("%d records were exported, want 1", len(taken))
	}
	return taken[0]
}

// attrs are the attributes of a record, in order.
func attrs(r log.Record) []attribute.KeyValue {
	var all []attribute.KeyValue
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		all = append(all, kv)
		return true
	})
	return all
}

// dropping is a logger provider that keeps nothing, and allocates nothing.
type dropping struct {
	embedded.LoggerProvider
}

func (dropping) Logger(string, ...log.LoggerOption) log.Logger { return dropped{} }

type dropped struct{ embedded.Logger }

func (dropped) Enabled(context.Context, log.EnabledParameters) bool { return true }
func (dropped) Emit(context.Context, log.Record)                    {}
