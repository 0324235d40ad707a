package otelsetup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/http/httpguts"

	"github.com/clewtrace/clew/delivery"
)

// The names of the signals, as they stand in URLs and in errors.
const (
	signalTraces  = "traces"
	signalMetrics = "metrics"
	signalLogs    = "logs"
)

// OTLP is how one signal is sent: what the OTEL_EXPORTER_OTLP_* variables say,
// checked. See "OpenTelemetry Protocol Exporter", section "Configuration
// Options".
type OTLP struct {
	Signal      string // "traces", "metrics" or "logs"
	Endpoint    *url.URL
	Headers     map[string]string
	Timeout     time.Duration // of one request over HTTP; of one export with its retries otherwise
	Gzip        bool
	TLS         *tls.Config                   // nil: the system's roots and no client certificate
	Temporality sdkmetric.TemporalitySelector // metrics only, as Aggregation
	Aggregation sdkmetric.AggregationSelector

	// Wrap is put around what sends the requests of HTTP protocols. It is
	// never nil.
	Wrap func(http.RoundTripper) http.RoundTripper

	outbox *outbox // what requests over HTTP are handed to; nil for other protocols
}

// Protocol makes the exporters of an OTLP protocol, a value of
// OTEL_EXPORTER_OTLP_PROTOCOL.
type Protocol struct {
	DefaultEndpoint string // for example http://localhost:4317
	SignalPath      bool   // a general endpoint gets the path /v1/<signal>
	HostPort        bool   // an endpoint may be host:port; OTEL_EXPORTER_OTLP_INSECURE decides about TLS then

	Traces  func(context.Context, OTLP) (sdktrace.SpanExporter, error)
	Metrics func(context.Context, OTLP) (sdkmetric.Exporter, error)
	Logs    func(context.Context, OTLP) (sdklog.Exporter, error)

	delivers bool // the exporters use OTLP.client
}

const (
	protocolProtobuf = "http/protobuf"
	protocolJSON     = "http/json"
)

func init() {
	RegisterProtocol(protocolProtobuf, httpProtocol(false))
	RegisterProtocol(protocolJSON, httpProtocol(true))
}

// httpProtocol makes the exporters over HTTP. They read the environment too;
// every option is given, so that only what was checked counts.
func httpProtocol(asJSON bool) Protocol {
	return Protocol{
		DefaultEndpoint: "http://localhost:4318",
		SignalPath:      true,
		delivers:        true,
		Traces: func(ctx context.Context, c OTLP) (sdktrace.SpanExporter, error) {
			return otlptracehttp.New(ctx,
				otlptracehttp.WithTLSClientConfig(nil), otlptracehttp.WithHTTPClient(c.client(asJSON)),
				otlptracehttp.WithEndpointURL(c.Endpoint.String()), otlptracehttp.WithHeaders(c.Headers),
				otlptracehttp.WithTimeout(c.Timeout), otlptracehttp.WithCompression(otlptracehttp.NoCompression),
				otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf))
		},
		Metrics: func(ctx context.Context, c OTLP) (sdkmetric.Exporter, error) {
			return otlpmetrichttp.New(ctx,
				otlpmetrichttp.WithTLSClientConfig(nil), otlpmetrichttp.WithHTTPClient(c.client(asJSON)),
				otlpmetrichttp.WithEndpointURL(c.Endpoint.String()), otlpmetrichttp.WithHeaders(c.Headers),
				otlpmetrichttp.WithTimeout(c.Timeout), otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
				otlpmetrichttp.WithTemporalitySelector(c.Temporality), otlpmetrichttp.WithAggregationSelector(c.Aggregation))
		},
		Logs: func(ctx context.Context, c OTLP) (sdklog.Exporter, error) {
			return otlploghttp.New(ctx,
				otlploghttp.WithTLSClientConfig(nil), otlploghttp.WithHTTPClient(c.client(asJSON)),
				otlploghttp.WithEndpointURL(c.Endpoint.String()), otlploghttp.WithHeaders(c.Headers),
				otlploghttp.WithTimeout(c.Timeout), otlploghttp.WithCompression(otlploghttp.NoCompression))
		},
	}
}

// client hands what the exporters made to the outbox, which sends it: as JSON or
// not, over what [OTLP.Wrap] makes of a transport of its own. That is not
// [http.DefaultTransport], because exporting must not be traced. What waits is
// protobuf in either case, which can be divided and put together.
func (c OTLP) client(asJSON bool) *http.Client {
	own := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: c.Timeout}).DialContext,
		TLSClientConfig:     c.TLS,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 4, // as many requests are sent at the same time
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: c.Timeout,
	}
	base := c.Wrap(own)
	if asJSON {
		base = jsonEncoder{next: base, signal: c.Signal, gzip: c.Gzip}
	}
	header := http.Header{}
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	return c.outbox.client(c.Signal, c.Endpoint, delivery.Route{
		Base: base, Timeout: c.Timeout, Header: header, Gzip: c.Gzip && !asJSON,
	}, own)
}

// attempt is the time that one request may take: an exporter whose batches the
// outbox takes at once does not see how long they are under way.
func (c OTLP) attempt(export time.Duration) time.Duration {
	if c.outbox == nil {
		return c.Timeout
	}
	return min(c.Timeout, export)
}

// otlp reads how a signal is sent, and by which protocol.
func (e *Env) otlp(signal string, cfg *config) (Protocol, OTLP) {
	names := func(option string) []string {
		return []string{"OTEL_EXPORTER_OTLP_" + strings.ToUpper(signal) + "_" + option, "OTEL_EXPORTER_OTLP_" + option}
	}
	protocol := e.protocol(names("PROTOCOL"))
	c := OTLP{
		Signal:   signal,
		Endpoint: e.endpoint(signal, protocol, names("ENDPOINT"), names("INSECURE")),
		Headers:  e.headers(names("HEADERS")),
		Timeout:  e.Millis(10*time.Second, names("TIMEOUT")...),
		Gzip:     e.Enum(none, []string{"gzip", none}, names("COMPRESSION")...) == "gzip",
		TLS:      e.tls(names("CERTIFICATE"), names("CLIENT_CERTIFICATE"), names("CLIENT_KEY")),
		Wrap:     func(next http.RoundTripper) http.RoundTripper { return next },
	}
	if cfg.otlpTransport != nil {
		c.Wrap = func(next http.RoundTripper) http.RoundTripper { return cfg.otlpTransport(signal, next) }
	}
	if protocol.delivers {
		c.outbox = e.outbox(cfg)
	}
	if user := c.Endpoint.User; user != nil && c.Headers["Authorization"] == "" {
		// As net/http does with a URL that holds credentials.
		r := http.Request{Header: http.Header{}}
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
		c.Headers["Authorization"] = r.Header.Get("Authorization")
	}
	return protocol, c
}

func (e *Env) protocol(names []string) Protocol {
	name := read(e, protocolProtobuf, names, itself, func(v string) (string, error) {
		lower := strings.ToLower(v)
		if _, ok := protocols.get(lower); ok {
			return lower, nil
		}
		return "", valueError("must be " + oneOf(protocols.names()) + hint(optInProtocols, lower))
	})
	protocol, _ := protocols.get(name)
	return protocol
}

// endpoint reads the URL that a signal is sent to. The signal's own variable
// is taken as it is, the general one gets the signal's path: OpenTelemetry
// Protocol Exporter, "Endpoint URLs for OTLP/HTTP".
func (e *Env) endpoint(signal string, protocol Protocol, names, insecure []string) *url.URL {
	scheme := ""
	if protocol.HostPort {
		scheme = "https"
		if e.Bool(insecure...) {
			scheme = "http"
		}
	}
	return e.url(protocol.DefaultEndpoint, scheme, names, func(source string, u *url.URL) *url.URL {
		switch {
		case !protocol.SignalPath:
			return u
		case source == "" || source == names[1]:
			return u.JoinPath("/v1/" + signal)
		case u.Path == "":
			u.Path = "/"
		}
		return u
	})
}

// headers reads "key=value,...", values percent-encoded: OpenTelemetry
// Protocol Exporter, "Specifying headers via environment variables". A pair
// that cannot be used is left out and reported; its value is not shown, since
// headers hold credentials.
func (e *Env) headers(names []string) map[string]string {
	name, v := e.Lookup(names...)
	headers := map[string]string{}
	var bad []string
	for pair := range strings.SplitSeq(v, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || !httpguts.ValidHeaderFieldName(key) || !httpguts.ValidHeaderFieldValue(value) {
			if !found {
				key = mask // it may be the credential itself
			}
			bad = append(bad, key)
			continue
		}
		headers[http.CanonicalHeaderKey(key)] = value
	}
	shown := maskedPairs(slices.Sorted(maps.Keys(headers)))
	if len(bad) > 0 {
		e.Problem(name, maskedPairs(bad), "must be key=value,... with HTTP header names and percent-encoded values",
			"the other headers: "+shown)
	}
	e.record(names, name, shown)
	return headers
}

func maskedPairs(keys []string) string {
	if len(keys) == 0 {
		return none
	}
	return strings.Join(keys, "="+mask+",") + "=" + mask
}

// tls reads the files that hold the certificates to trust, and those to show.
// It is nil if none is set or can be used.
func (e *Env) tls(ca, certificate, key []string) *tls.Config {
	var roots *x509.CertPool
	const systemRoots = "the system's certificates"
	read(e, systemRoots, ca, itself, func(file string) (string, error) {
		pem, err := os.ReadFile(file)
		if err != nil {
			return "", valueError("must be a PEM file: " + err.Error())
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return "", valueError("must be a PEM file: it holds no certificate")
		}
		roots = pool
		return file, nil
	})
	var shown []tls.Certificate
	keyName, keyFile := e.Lookup(key...)
	certificateName, certificateFile := e.Lookup(certificate...)
	read(e, none, certificate, itself, func(file string) (string, error) {
		if keyFile == "" {
			return "", valueError("must come with a key: " + key[slices.Index(certificate, certificateName)] + " is not set")
		}
		pair, err := tls.LoadX509KeyPair(file, keyFile)
		if err != nil {
			return "", valueError("must be a PEM file that belongs to " + keyName + ": " + err.Error())
		}
		shown = append(shown, pair)
		return file, nil
	})
	if certificateFile == "" && keyFile != "" {
		e.Problem(keyName, keyFile, "must come with a certificate: "+certificate[slices.Index(key, keyName)]+" is not set", none)
	}
	if roots == nil && shown == nil {
		return nil
	}
	return &tls.Config{RootCAs: roots, Certificates: shown, MinVersion: tls.VersionTLS12}
}
