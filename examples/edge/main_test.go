package main

import (
	"bytes"
	"testing"
)

func TestRun(t *testing.T) {
	const want = `a stranger calls:
  edge: continues the caller's trace: false
  edge: links to 0af7651916cd43dd84ffffffffffffff
  edge: baggage ""
  own service: traceparent sent: true, baggage ""
  third party: traceparent sent: false, baggage ""
a caller with the secret calls:
  edge: continues the caller's trace: true
  edge: baggage "user=root"
  own service: traceparent sent: true, baggage "user=root"
  third party: traceparent sent: false, baggage ""
`
	var got bytes.Buffer
	if err := run(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", got.String(), want)
	}
}
