// Package jaegerremote makes "jaeger_remote" and "parentbased_jaeger_remote"
// values of OTEL_TRACES_SAMPLER:
//
//	import _ "github.com/clewtrace/clew/contrib/jaegerremote"
//
// OTEL_TRACES_SAMPLER_ARG is a list of endpoint (a URL),
// pollingIntervalMs and initialSamplingRate, for example
// endpoint=http://localhost:5778/sampling,pollingIntervalMs=5000,initialSamplingRate=0.25.
package jaegerremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/contrib/samplers/jaegerremote"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/redact"
	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() { extend.Samplers.Register("jaeger_remote", newSampler) }

const (
	keyEndpoint = "endpoint"
	keyInterval = "pollingIntervalMs"
	keyRate     = "initialSamplingRate"
)

func newSampler(_ context.Context, env extend.Env) (sdktrace.Sampler, error) {
	pairs, err := extend.Pairs(env.SamplerArg(), keyEndpoint, keyInterval, keyRate)
	if err != nil {
		return nil, err
	}
	// The library reads the variable too, and checks less; each option is given.
	const standard = "http://localhost:5778/sampling"
	endpoint, interval, rate := standard, time.Minute, 0.001
	var errs []error
	if v, ok := pairs[keyEndpoint]; ok {
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("%s must be a URL such as %s", keyEndpoint, standard))
		}
		endpoint = v
	}
	if v, ok := pairs[keyInterval]; ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > math.MaxInt32 {
			errs = append(errs, fmt.Errorf("%s must be a whole number from 1 to %d", keyInterval, math.MaxInt32))
		}
		interval = time.Duration(n) * time.Millisecond
	}
	if v, ok := pairs[keyRate]; ok {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			errs = append(errs, fmt.Errorf("%s must be between 0 and 1", keyRate))
		}
		rate = f
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	server, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	sampler := jaegerremote.New(env.ServiceName(),
		jaegerremote.WithSamplingStrategyFetcher(fetcher{server, &http.Client{
			Timeout:   fetchTimeout,
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		}}),
		jaegerremote.WithSamplingRefreshInterval(interval),
		jaegerremote.WithInitialSampler(sdktrace.TraceIDRatioBased(rate)))
	env.OnShutdown(func(context.Context) error { sampler.Close(); return nil })
	return sampler, nil
}

// fetchTimeout bounds a request for the strategy.
const fetchTimeout = 10 * time.Second

// maxStrategy bounds what is read of the answer.
const maxStrategy = 1 << 20

// fetcher asks for the strategy. The library's own uses http.DefaultTransport,
// whose requests are traced.
type fetcher struct {
	endpoint *url.URL
	client   *http.Client
}

// Fetch tells of its failures, which the library keeps to itself. The strategy
// that is in effect stays, and the next poll tries again.
func (f fetcher) Fetch(service string) ([]byte, error) {
	strategy, err := f.fetch(service)
	if err != nil {
		err = redact.Error(err) // which quotes the endpoint
		otel.Handle(fmt.Errorf("jaeger_remote sampler: no new strategy: %w", err))
	}
	return strategy, err
}

func (f fetcher) fetch(service string) ([]byte, error) {
	u := *f.endpoint
	query := u.Query()
	query.Set("service", service)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", f.endpoint, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxStrategy))
}
