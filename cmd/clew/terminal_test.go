package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/doctor"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TestDoctorFindsTheCertificateBehindAReset: a server that wants a certificate
// may reset the connection before the client has read why.
func TestDoctorFindsTheCertificateBehindAReset(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{a.issue(t, "127.0.0.1", time.Now().Add(time.Hour))}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	address := listen(t, func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go resetAfterHandshake(c.(*net.TCPConn), config)
		}
	})
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		r := examine(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + address, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + a.file, "OTEL_EXPORTER_OTLP_TIMEOUT=3000"})
		if !slices.ContainsFunc(r.Problems, func(p doctor.Problem) bool {
			return strings.Contains(p.Problem, "the server wants a certificate from its client") && strings.Contains(p.Cure, "CLIENT_CERTIFICATE")
		}) {
			t.Errorf("%s: problems %+v", protocol, r.Problems)
		}
	}
}

// resetAfterHandshake refuses the client, and resets the connection instead of
// saying why if the client has sent more meanwhile.
func resetAfterHandshake(c *net.TCPConn, config *tls.Config) {
	defer c.Close() //nolint:errcheck // it is reset
	held := &heldConn{TCPConn: c}
	if tls.Server(held, config).HandshakeContext(context.Background()) == nil {
		return
	}
	const flight = 150 // bytes of a second flight without a certificate are fewer
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	if held.read <= flight {
		n, _ := c.Read(make([]byte, 1))
		held.read += n * flight
	}
	if held.read > flight {
		_ = c.SetLinger(0)
		return
	}
	c.Write(held.alert) //nolint:errcheck // the client may be gone
}

// heldConn keeps back what the server says to the client's second flight.
type heldConn struct {
	*net.TCPConn
	wrote, second bool
	read          int // bytes of the second flight, and what came with it
	alert         []byte
}

func (c *heldConn) Read(p []byte) (int, error) {
	c.second = c.wrote
	n, err := c.TCPConn.Read(p)
	if c.second {
		c.read += n
	}
	return n, err
}

func (c *heldConn) Write(p []byte) (int, error) {
	c.wrote = true
	if c.second {
		c.alert = append(c.alert, p...)
		return len(p), nil
	}
	return c.TCPConn.Write(p)
}

// TestDoctorIsSafeForATerminal: what servers and variables say is printed as
// lines of text only.
func TestDoctorIsSafeForATerminal(t *testing.T) {
	const hostile = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e\n  ok    forged"
	server := answers(t, http.StatusBadRequest, "text/plain", hostile)
	text, _ := process(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server, "OTEL_SERVICE_NAME=a" + hostile, "OTEL_BSP_SCHEDULE_DELAY=" + hostile, "OTEL_EXPORTER_OTLP_TRACES_HEADERS=" + hostile}, "doctor")
	if strings.ContainsAny(text, "\x1b\x07\u009b\u202e") || regexp.MustCompile(`(?m)^  ok    forged`).MatchString(text) || !strings.Contains(text, "owned") {
		t.Errorf("%q", text)
	}
}

// TestTreeIsSafeForATerminal: the same for what spans say.
func TestTreeIsSafeForATerminal(t *testing.T) {
	const hostile = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e\nforged"
	attrs := []*commonpb.KeyValue{{Key: hostile, Value: textValue(hostile)}, {Key: "url.full", Value: textValue(hostile)},
		{Key: "error.type", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{textValue(hostile)}}}}}}
	origin := otlpreceiver.Origin{Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{{Key: "service.name", Value: textValue(hostile)}}}}
	span := otlpreceiver.Span{Origin: origin, Span: &tracepb.Span{
		TraceId: bytes.Repeat([]byte{1}, 16), SpanId: bytes.Repeat([]byte{2}, 8), Name: hostile, Attributes: attrs,
		Status: &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: hostile}, Events: []*tracepb.Span_Event{{Name: hostile, Attributes: attrs}},
	}}
	log := otlpreceiver.Log{Origin: origin, LogRecord: &logspb.LogRecord{SpanId: span.GetSpanId(), SeverityText: hostile, Body: textValue(hostile), Attributes: attrs}}
	var out bytes.Buffer
	for _, tree := range newTraces([]otlpreceiver.Span{span}, []otlpreceiver.Log{log}) {
		tree.print(&out)
	}
	if text := out.String(); strings.ContainsAny(text, "\x1b\x07\u009b\u202e") || regexp.MustCompile(`(?m)^forged`).MatchString(text) || strings.Count(text, "owned") < 8 {
		t.Errorf("%q", text)
	}
}

func textValue(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}
