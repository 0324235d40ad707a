package otelsetup_test

import (
	"testing"

	"github.com/clewtrace/clew/otelsetup"
)

func TestLookupProtocol(t *testing.T) {
	p, ok := otelsetup.LookupProtocol("HTTP/protobuf")
	if !ok || p.DefaultEndpoint != "http://localhost:4318" || p.Traces == nil {
		t.Errorf("%+v, %v", p, ok)
	}
	if _, ok := otelsetup.LookupProtocol("carrier pigeon"); ok {
		t.Error("there is no such protocol")
	}
}
