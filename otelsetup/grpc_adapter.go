package otelsetup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/otelsetup/extend"
)

// overSender lets the exporters over HTTP send by a Sender.
type overSender struct {
	sender delivery.Sender
	signal delivery.Signal
}

func newOverSender(ctx context.Context, protocol extend.Protocol, c extend.OTLP) (overSender, error) {
	sender, err := protocol(ctx, c)
	signal := map[string]delivery.Signal{
		settings.SignalTraces: delivery.Traces, settings.SignalMetrics: delivery.Metrics, settings.SignalLogs: delivery.Logs,
	}[c.Signal]
	return overSender{sender, signal}, err
}

// RoundTrip implements [http.RoundTripper].
func (o overSender) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		return nil, err
	}
	answer, err := o.sender.Send(r.Context(), o.signal, body)
	code, header := http.StatusOK, http.Header{"Content-Type": {"application/x-protobuf"}}
	if refused, ok := errors.AsType[*delivery.SendError](err); ok {
		code, header = http.StatusBadRequest, http.Header{"Content-Type": {"text/plain"}}
		if refused.Retry {
			code = http.StatusServiceUnavailable
			if refused.RetryAfter > 0 {
				header.Set("Retry-After", strconv.Itoa(int(refused.RetryAfter.Seconds()+1)))
			}
		}
		answer = []byte(strings.ToValidUTF8(refused.Error(), ""))
	} else if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: strconv.Itoa(code) + " " + http.StatusText(code), StatusCode: code, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

const senderURL = "http://sender"

type spansOverSender struct {
	sdktrace.SpanExporter
	sender delivery.Sender
}

func (e spansOverSender) Shutdown(ctx context.Context) error {
	return errors.Join(e.SpanExporter.Shutdown(ctx), e.sender.Close())
}

func spansOver(ctx context.Context, protocol extend.Protocol, c extend.OTLP) (sdktrace.SpanExporter, error) {
	o, err := newOverSender(ctx, protocol, c)
	if err != nil {
		return nil, err
	}
	e, err := otlptracehttp.New(ctx, otlptracehttp.WithTLSClientConfig(nil), otlptracehttp.WithHTTPClient(&http.Client{Transport: o}),
		otlptracehttp.WithEndpointURL(senderURL), otlptracehttp.WithHeaders(map[string]string{}),
		otlptracehttp.WithTimeout(c.Timeout), otlptracehttp.WithCompression(otlptracehttp.NoCompression),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf))
	return spansOverSender{e, o.sender}, err
}

type metricsOverSender struct {
	sdkmetric.Exporter
	sender delivery.Sender
}

func (e metricsOverSender) Shutdown(ctx context.Context) error {
	return errors.Join(e.Exporter.Shutdown(ctx), e.sender.Close())
}

func metricsOver(ctx context.Context, protocol extend.Protocol, c extend.OTLP, temporality sdkmetric.TemporalitySelector, aggregation sdkmetric.AggregationSelector) (sdkmetric.Exporter, error) {
	o, err := newOverSender(ctx, protocol, c)
	if err != nil {
		return nil, err
	}
	e, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithTLSClientConfig(nil), otlpmetrichttp.WithHTTPClient(&http.Client{Transport: o}),
		otlpmetrichttp.WithEndpointURL(senderURL), otlpmetrichttp.WithHeaders(map[string]string{}),
		otlpmetrichttp.WithTimeout(c.Timeout), otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithTemporalitySelector(temporality), otlpmetrichttp.WithAggregationSelector(aggregation))
	return metricsOverSender{e, o.sender}, err
}

type logsOverSender struct {
	sdklog.Exporter
	sender delivery.Sender
}

func (e logsOverSender) Shutdown(ctx context.Context) error {
	return errors.Join(e.Exporter.Shutdown(ctx), e.sender.Close())
}

func logsOver(ctx context.Context, protocol extend.Protocol, c extend.OTLP) (sdklog.Exporter, error) {
	o, err := newOverSender(ctx, protocol, c)
	if err != nil {
		return nil, err
	}
	e, err := otlploghttp.New(ctx, otlploghttp.WithTLSClientConfig(nil), otlploghttp.WithHTTPClient(&http.Client{Transport: o}),
		otlploghttp.WithEndpointURL(senderURL), otlploghttp.WithHeaders(map[string]string{}),
		otlploghttp.WithTimeout(c.Timeout), otlploghttp.WithCompression(otlploghttp.NoCompression))
	return logsOverSender{e, o.sender}, err
}
