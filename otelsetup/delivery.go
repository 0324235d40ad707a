package otelsetup

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/redact"
	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/otelsetup/internal/sdkbatch"
)

// buildDelivery makes what sends everything that leaves as OTLP. What stands in
// the way of the spool, or of what the program customized, is a problem, and
// does without.
func (b *builder) buildDelivery() {
	if !b.settings.SendsOTLP() {
		return
	}
	d := b.settings.Delivery
	cfg := delivery.Config{
		QueueSize: d.QueueSize, SpoolDir: d.SpoolDir, SpoolSize: d.SpoolSize, SpoolSync: d.SpoolSync,
		Journal: d.Journal, RefusedTimeout: d.RefusedTimeout,
		Resource: b.exportedResource(), ErrorHandler: b.errors,
	}
	wanted, customized := cfg, false
	for _, by := range b.config.custom {
		if by.Delivery != nil {
			wanted, customized = by.Delivery(wanted), true
		}
	}
	b.problems = append(b.problems, b.settings.NeedSpool(customized)...)
	wanted.Journal = wanted.Journal && wanted.SpoolDir != ""
	cfg.Journal = cfg.Journal && cfg.SpoolDir != ""
	var err error
	if b.delivery, err = delivery.New(wanted); err != nil && customized {
		b.problem("Customizers.Delivery", err)
		b.delivery, err = delivery.New(cfg)
	}
	if err != nil && cfg.SpoolDir != "" {
		b.problems = append(b.problems, settings.Problem{
			Name: delivery.EnvSpoolDir, Value: redact.Text(cfg.SpoolDir),
			Reason: strings.TrimPrefix(redact.Text(err.Error()), "delivery: Config.SpoolDir: "), Using: "memory only",
		})
		cfg.SpoolDir, cfg.Journal = "", false
		b.settings.FallBack(delivery.EnvSpoolDir, settings.None)
		b.settings.FallBack(delivery.EnvJournal, "false")
		b.delivery, err = delivery.New(cfg)
	}
	b.problem("delivery", err)
}

// route is how what one exporter sends by OTLP travels.
func (b *builder) route(ctx context.Context, e settings.Export) (delivery.Route, error) {
	c := e.OTLP
	r := delivery.Route{
		URL: c.Endpoint.String(), Header: http.Header{}, Gzip: c.Gzip, JSON: c.Protocol == settings.ProtocolJSON,
		Timeout: c.Timeout,
	}
	for name, value := range c.Headers {
		r.Header.Set(name, value)
	}
	if c.OverHTTP() {
		r.Base = b.httpTransport(c)
		return r, nil
	}
	protocol, _ := extend.Protocols.Lookup(c.Protocol)
	if protocol == nil {
		return r, errNotRegistered
	}
	var err error
	r.Sender, err = protocol(ctx, extend.OTLP{
		Signal: c.Signal, Endpoint: c.Endpoint, Target: c.Target, Headers: c.Headers, Timeout: c.Timeout, Gzip: c.Gzip, TLS: b.link(c.TLS).config,
	})
	return r, err
}

// link is what the exporters share that have the same certificates, so that those that
// go to one destination share its connections.
type link struct {
	tls    settings.TLS
	config *tls.Config
	base   *http.Transport
}

// link returns the one for these certificates.
func (b *builder) link(certificates settings.TLS) link {
	for _, l := range b.links {
		if l.tls.Same(certificates) {
			return l
		}
	}
	config := certificates.Config()
	l := link{certificates, config, delivery.NewBase(config)}
	b.links = append(b.links, l)
	b.idle = append(b.idle, l.base.CloseIdleConnections)
	return l
}

// httpTransport is not [http.DefaultTransport], because exporting must not be
// traced.
func (b *builder) httpTransport(c *settings.OTLP) http.RoundTripper {
	var base http.RoundTripper = b.link(c.TLS).base
	for _, by := range b.config.custom {
		base = custom(func(next http.RoundTripper) http.RoundTripper {
			if by.OTLPTransport == nil {
				return next
			}
			return by.OTLPTransport(c.Signal, next)
		}, base)
	}
	return base
}

// batchOf is how delivery puts items together.
func batchOf(b settings.Batch) delivery.Batch {
	return delivery.Batch{MaxItems: b.Size, Delay: b.Delay, MaxQueueItems: b.QueueSize}
}

// spanProcessor hands spans to where an entry of OTEL_TRACES_EXPORTER says.
// What goes out as OTLP is encoded as each span ends. Only an exporter that a
// program wraps gets the spans themselves, as the others do.
func (b *builder) spanProcessor(ctx context.Context, e settings.Export) (sdktrace.SpanProcessor, error) {
	wrapped := false
	for _, c := range b.config.custom {
		wrapped = wrapped || c.SpanExporter != nil
	}
	if e.OTLP != nil && !wrapped {
		route, err := b.route(ctx, e)
		if err != nil {
			return nil, err
		}
		return b.delivery.SpanProcessor(route, batchOf(e.Batch)), nil
	}
	if e.Exporter == settings.ExporterConsole && !wrapped {
		return consoleSpans{}, nil
	}
	exporter, err := b.spanExporter(ctx, e)
	if err != nil {
		return nil, err
	}
	for _, c := range b.config.custom {
		exporter = custom(c.SpanExporter, exporter)
	}
	processors := sdkbatch.Linked()
	if processors == nil {
		return nil, errNotRegistered
	}
	return processors.Spans(exporter, b.batchOfObjects(e)), nil
}

// batchOfObjects is batchOf for exporters that get spans and log records as
// objects. Delivery takes a batch so soon that spans can wait for it.
func (b *builder) batchOfObjects(e settings.Export) sdkbatch.Config {
	return sdkbatch.Config{Batch: e.Batch, Each: e.OTLP != nil && b.settings.Delivery.Journal, Block: e.OTLP != nil}
}

// logProcessor is spanProcessor for log records.
func (b *builder) logProcessor(ctx context.Context, e settings.Export) (sdklog.Processor, error) {
	wrapped := false
	for _, c := range b.config.custom {
		wrapped = wrapped || c.LogExporter != nil
	}
	if e.OTLP != nil && !wrapped {
		route, err := b.route(ctx, e)
		if err != nil {
			return nil, err
		}
		return b.delivery.LogProcessor(route, batchOf(e.Batch)), nil
	}
	exporter, err := b.logExporter(ctx, e)
	if err != nil {
		return nil, err
	}
	for _, c := range b.config.custom {
		exporter = custom(c.LogExporter, exporter)
	}
	processors := sdkbatch.Linked()
	if processors == nil {
		return nil, errNotRegistered
	}
	return processors.Logs(exporter, b.batchOfObjects(e)), nil
}

// endDelivery delivers what is left and returns what was not delivered.
func (p *parts) endDelivery(ctx context.Context) error {
	if p.delivery == nil {
		return nil
	}
	err := p.delivery.Shutdown(ctx)
	for _, closeIdle := range p.idle {
		closeIdle()
	}
	return err
}

// errNotRegistered is about a name that was accepted and stands for nothing.
var errNotRegistered = errors.New("nothing is registered under this name")
