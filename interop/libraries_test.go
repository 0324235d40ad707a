package interop_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"

	ddhttp "github.com/DataDog/dd-trace-go/contrib/net/http/v2"
	"github.com/DataDog/dd-trace-go/v2/ddtrace/ext"
	"github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
	"github.com/getsentry/sentry-go"
	sentryhttp "github.com/getsentry/sentry-go/http"
	sentryhttpclient "github.com/getsentry/sentry-go/httpclient"
	"github.com/newrelic/go-agent/v3/newrelic"
	"github.com/openzipkin/zipkin-go"
	zipkinhttp "github.com/openzipkin/zipkin-go/middleware/http"
	"github.com/openzipkin/zipkin-go/reporter"
	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"
	"go.opencensus.io/plugin/ochttp"
	"go.opencensus.io/plugin/ochttp/propagation/b3"
	"go.opencensus.io/plugin/ochttp/propagation/tracecontext"
	octrace "go.opencensus.io/trace"
	"go.opencensus.io/trace/propagation"
)

// libraries are the services that the test binary can be. Each takes its
// library's own middleware and client, and what its users set in the
// environment comes from there.
var libraries = map[string]func() (library, error){
	"datadog":    startDatadog,
	"newrelic":   startNewRelic,
	"elastic":    startElastic,
	"opencensus": startOpenCensus,
	"sentry":     startSentry,
	"zipkin":     startZipkin,
	"ours":       startOurs,
}

// agent answers for the agents and servers that libraries report to.
func agent() string {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("{}"))
	})).URL
}

func startDatadog() (library, error) {
	err := tracer.Start(tracer.WithAgentURL(agent()), tracer.WithService("middle"), tracer.WithLogStartup(false))
	return library{
		wrap:      func(h http.Handler) http.Handler { return ddhttp.WrapHandler(h, "middle", "GET /") },
		transport: ddhttp.WrapRoundTripper(new(http.Transport)),
		view: func(ctx context.Context, r *record) {
			span, ok := tracer.SpanFromContext(ctx)
			if !ok {
				return
			}
			priority, _ := span.Context().SamplingPriority()
			r.TraceID, r.SpanID, r.Sampled = span.Context().TraceID(), hex64(span.Context().SpanID()), priority > 0
			if id, ok := span.AsMap()[ext.MapSpanParentID].(uint64); ok {
				r.ParentID = hex64(id)
			}
		},
	}, err
}

// hex64 formats an id; zero stands for none.
func hex64(id uint64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", id)
}

// startNewRelic uses the mode in which the agent keeps what it records until it
// is asked for it: it needs no collector, and tells the parents.
func startNewRelic() (library, error) {
	app, err := newrelic.NewApplication(newrelic.ConfigAppName("middle"), func(c *newrelic.Config) {
		c.ServerlessMode.Enabled = true
		c.ServerlessMode.AccountID = "1"
		c.ServerlessMode.TrustedAccountKey = "33"
		c.ServerlessMode.PrimaryAppID = "2"
	}, newrelic.ConfigFromEnvironment(), func(c *newrelic.Config) {
		c.DistributedTracer.ExcludeNewRelicHeader = os.Getenv("INTEROP_W3C_ONLY") != ""
		if os.Getenv("INTEROP_PARENT_DECIDES") != "" {
			c.DistributedTracer.Sampler.RemoteParentSampled = newrelic.AlwaysOn.String()
			c.DistributedTracer.Sampler.RemoteParentNotSampled = newrelic.AlwaysOff.String()
		}
	})
	if err != nil {
		return library{}, err
	}
	return library{
		wrap: func(h http.Handler) http.Handler {
			_, h = newrelic.WrapHandle(app, "/", h)
			return h
		},
		transport: newrelic.NewRoundTripper(new(http.Transport)),
		view: func(ctx context.Context, r *record) {
			txn := newrelic.FromContext(ctx)
			ids := txn.GetTraceMetadata()
			r.TraceID, r.SpanID, r.Sampled = ids.TraceID, ids.SpanID, txn.IsSampled()
		},
		ended: func(r *record) {
			if private, ok := app.Private.(interface {
				ServerlessWrite(arn string, w io.Writer)
			}); ok {
				var payload bytes.Buffer
				private.ServerlessWrite("", &payload)
				r.ParentID = newRelicParent(payload.Bytes(), r.SpanID)
			}
		},
	}, nil
}

var newRelicSpan = regexp.MustCompile(`"guid":"([0-9a-f]+)","parentId":"([0-9a-f]+)"`)

// newRelicParent finds the parent of a span in what the agent would report.
func newRelicParent(payload []byte, span string) string {
	var parts []any
	if json.Unmarshal(payload, &parts) != nil || len(parts) == 0 {
		return ""
	}
	encoded, _ := parts[len(parts)-1].(string)
	compressed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return ""
	}
	var data bytes.Buffer
	if _, err := data.ReadFrom(z); err != nil {
		return ""
	}
	for _, m := range newRelicSpan.FindAllStringSubmatch(data.String(), -1) {
		if m[1] == span {
			return m[2]
		}
	}
	return ""
}

func startElastic() (library, error) {
	if err := os.Setenv("ELASTIC_APM_SERVER_URL", agent()); err != nil {
		return library{}, err
	}
	t, err := apm.NewTracerOptions(apm.TracerOptions{ServiceName: "middle"})
	return library{
		wrap:      func(h http.Handler) http.Handler { return apmhttp.Wrap(h, apmhttp.WithTracer(t)) },
		transport: apmhttp.WrapRoundTripper(new(http.Transport)),
		view: func(ctx context.Context, r *record) {
			tx := apm.TransactionFromContext(ctx)
			tc := tx.TraceContext()
			r.TraceID, r.SpanID, r.Sampled = tc.Trace.String(), tc.Span.String(), tx.Sampled()
			if tx.ParentID().Validate() == nil {
				r.ParentID = tx.ParentID().String()
			}
		},
	}, err
}

// parents remembers the parents of the OpenCensus spans that have ended.
type parents struct{ sync.Map }

func (p *parents) ExportSpan(s *octrace.SpanData) {
	if s.ParentSpanID != (octrace.SpanID{}) {
		p.Store(s.SpanID.String(), s.ParentSpanID.String())
	}
}

func startOpenCensus() (library, error) {
	var ended parents
	octrace.RegisterExporter(&ended)
	var format propagation.HTTPFormat = &b3.HTTPFormat{} // the default of ochttp
	if os.Getenv("INTEROP_W3C_ONLY") != "" {
		format = &tracecontext.HTTPFormat{}
	}
	// The default, a probability of 1 in 10000, would leave nothing to see.
	octrace.ApplyConfig(octrace.Config{DefaultSampler: parentOrAlways})
	return library{
		wrap:      func(h http.Handler) http.Handler { return &ochttp.Handler{Handler: h, Propagation: format} },
		transport: &ochttp.Transport{Base: new(http.Transport), Propagation: format},
		view: func(ctx context.Context, r *record) {
			sc := octrace.FromContext(ctx).SpanContext()
			r.TraceID, r.SpanID, r.Sampled = sc.TraceID.String(), sc.SpanID.String(), sc.IsSampled()
		},
		ended: func(r *record) {
			if id, ok := ended.Load(r.SpanID); ok {
				r.ParentID, _ = id.(string)
			}
		},
	}, nil
}

// parentOrAlways samples roots and leaves the rest to the parent.
func parentOrAlways(p octrace.SamplingParameters) octrace.SamplingDecision {
	return octrace.SamplingDecision{Sample: p.ParentContext == (octrace.SpanContext{}) || p.ParentContext.IsSampled()}
}

func startSentry() (library, error) {
	dsn := strings.Replace(agent(), "http://", "http://key@", 1) + "/1"
	err := sentry.Init(sentry.ClientOptions{
		Dsn: dsn, EnableTracing: true, TracesSampleRate: 1,
		PropagateTraceparent: os.Getenv("INTEROP_W3C_ONLY") != "",
	})
	return library{
		wrap:      sentryhttp.New(sentryhttp.Options{}).Handle,
		transport: sentryhttpclient.NewSentryRoundTripper(new(http.Transport)),
		view: func(ctx context.Context, r *record) {
			span := sentry.SpanFromContext(ctx)
			r.TraceID, r.SpanID, r.Sampled = span.TraceID.String(), span.SpanID.String(), span.Sampled.Bool()
			if span.ParentSpanID != (sentry.SpanID{}) {
				r.ParentID = span.ParentSpanID.String()
			}
		},
	}, err
}

func startZipkin() (library, error) {
	t, err := zipkin.NewTracer(reporter.NewNoopReporter(), zipkin.WithTraceID128Bit(true), zipkin.WithSharedSpans(false))
	if err != nil {
		return library{}, err
	}
	transport, err := zipkinhttp.NewTransport(t, zipkinhttp.RoundTripper(new(http.Transport)))
	return library{
		wrap:      zipkinhttp.NewServerMiddleware(t),
		transport: transport,
		view: func(ctx context.Context, r *record) {
			sc := zipkin.SpanFromContext(ctx).Context()
			r.TraceID, r.SpanID, r.Sampled = sc.TraceID.String(), sc.ID.String(), sc.Sampled != nil && *sc.Sampled
			if sc.ParentID != nil {
				r.ParentID = sc.ParentID.String()
			}
		},
	}, err
}
