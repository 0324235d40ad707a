package spantree_test

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/clewtrace/clew/e2e/internal/spantree"
)

const traces = `{"resourceSpans":[
	{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"server"}}]},
	"scopeSpans":[{"scope":{"name":"api","version":"1.0.0"},"spans":[
		{"spanId":"0000000000000003","parentSpanId":"0000000000000001","name":"second","kind":1,"startTimeUnixNano":"30"},
		{"spanId":"0000000000000002","parentSpanId":"0000000000000001","name":"first","kind":3,"startTimeUnixNano":"20",
			"status":{"code":2,"message":"refused"}},
		{"spanId":"0000000000000005","parentSpanId":"0000000000000004","name":"orphan","kind":1}]}]},
	{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"client"}}]},
	"scopeSpans":[{"scope":{"name":"api"},"spans":[
		{"spanId":"0000000000000001","name":"root","kind":2,"startTimeUnixNano":"10",
			"attributes":[
				{"key":"string","value":{"stringValue":"200"}},
				{"key":"int","value":{"intValue":"200"}},
				{"key":"double","value":{"doubleValue":200}},
				{"key":"bool","value":{"boolValue":true}}],
			"events":[{"name":"happened","attributes":[{"key":"n","value":{"intValue":"1"}}]}]}]}]}]}`

const logs = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[
	{"spanId":"0000000000000002","body":{"stringValue":"inside"}},
	{"body":{"stringValue":"outside"}}]}]}]}`

func TestFormatShowsWholeTree(t *testing.T) {
	td, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces([]byte(traces))
	if err != nil {
		t.Fatal(err)
	}
	ld, err := new(plog.JSONUnmarshaler).UnmarshalLogs([]byte(logs))
	if err != nil {
		t.Fatal(err)
	}
	spans := spantree.FromTraces(td)
	if outside := spantree.AddLogs(spans, ld); len(outside) != 1 || outside[0] != "outside" {
		t.Errorf("records outside of spans: %q", outside)
	}
	got := spantree.Format(spans, spantree.Describe)
	const want = `client root SERVER (api)
  bool=true double=200.0 int=200 string="200"
  event happened n=1
    server first CLIENT (api 1.0.0) ERROR refused
      log inside
    server second INTERNAL (api 1.0.0)
parent 0000000000000004 missing:
    server orphan INTERNAL (api 1.0.0)
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
