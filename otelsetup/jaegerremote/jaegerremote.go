// Package jaegerremote makes "jaeger_remote" and "parentbased_jaeger_remote"
// values of OTEL_TRACES_SAMPLER:
//
//	import _ "github.com/clewtrace/clew/otelsetup/jaegerremote"
//
// OTEL_TRACES_SAMPLER_ARG is a list of endpoint (a URL),
// pollingIntervalMs and initialSamplingRate, for example
// endpoint=http://localhost:5778/sampling,pollingIntervalMs=5000,initialSamplingRate=0.25.
package jaegerremote

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/contrib/samplers/jaegerremote"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/otelsetup"
)

func init() { otelsetup.RegisterSampler("jaeger_remote", newSampler) }

const (
	keyEndpoint = "endpoint"
	keyInterval = "pollingIntervalMs"
	keyRate     = "initialSamplingRate"
)

func newSampler(_ context.Context, env *otelsetup.Env) (sdktrace.Sampler, error) {
	pairs := env.Pairs([]string{keyEndpoint, keyInterval, keyRate}, "OTEL_TRACES_SAMPLER_ARG")
	// The library reads the variable too, and checks less; each option is given.
	endpoint, interval, rate := "http://localhost:5778/sampling", time.Minute, 0.001
	var errs []error
	if v, ok := pairs[keyEndpoint]; ok {
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("%s must be a URL such as %s", keyEndpoint, endpoint))
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
	sampler := jaegerremote.New(env.ServiceName(),
		jaegerremote.WithSamplingServerURL(endpoint),
		jaegerremote.WithSamplingRefreshInterval(interval),
		jaegerremote.WithInitialSampler(sdktrace.TraceIDRatioBased(rate)))
	env.OnShutdown(sampler.Close)
	return sampler, nil
}
