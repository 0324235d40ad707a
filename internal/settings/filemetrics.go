package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// readers reads the part of the file about metrics. Without a reader nothing
// is recorded.
func (f *file) readers(s *Settings) {
	const provider = "meter_provider"
	s.Metrics.Exemplars = at(f, oneOf(variable("OTEL_METRICS_EXEMPLAR_FILTER").Accepted), "OTEL_METRICS_EXEMPLAR_FILTER", provider+".exemplar_filter", "trace_based")
	for _, path := range f.entries(provider + ".readers") {
		switch {
		case f.has(path + ".periodic"):
			f.periodic(s, path+".periodic")
		case f.has(path + ".pull"):
			f.pull(s, path+".pull")
		}
	}
	for _, path := range f.entries(provider + ".views") {
		if v, err := f.view(path); err != nil {
			f.reject(path, err.Error()+", and ignored")
			f.use(path)
		} else {
			s.Metrics.Views = append(s.Metrics.Views, v)
		}
	}
}

func (f *file) periodic(s *Settings, path string) {
	e, ok := f.exporter(path+".exporter", SignalMetrics)
	m := Reader{
		Export:   e,
		Interval: at(f, millisOr(time.Millisecond), "OTEL_METRIC_EXPORT_INTERVAL", path+".interval", time.Minute),
		Timeout:  at(f, timeout, "OTEL_METRIC_EXPORT_TIMEOUT", path+".timeout", 30*time.Second),
	}
	if e.OTLP != nil {
		key := path + ".exporter." + f.keys(path + ".exporter")[0]
		const temporality, histogram = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
		m.Temporality = at(f, preference, temporality, key+".temporality_preference", variable(temporality).Default)
		m.Histogram = at(f, oneOf(variable(histogram).Accepted), histogram, key+".default_histogram_aggregation", variable(histogram).Default)
		e.OTLP.limitTimeout(m.Timeout)
	}
	if ok {
		s.Metrics.Readers = append(s.Metrics.Readers, m)
	}
}

// preference accepts low_memory, as the file spells it, beside lowmemory.
var preference = kind[string]{
	parse: func(text string) (string, error) {
		return oneOf(variable("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE").Accepted).parse(strings.ReplaceAll(text, "_", ""))
	},
	show: itself,
}

// pull reads a reader that is asked for its metrics, which can be Prometheus.
func (f *file) pull(s *Settings, path string) {
	path += ".exporter"
	keys := f.keys(path)
	if len(keys) != 1 || strings.TrimSuffix(keys[0], "/development") != "prometheus" {
		f.reject(path, "must be one exporter, prometheus/development")
		return
	}
	const variable = "OTEL_METRICS_EXPORTER"
	if !slices.Contains(names(variable), "prometheus") {
		f.reject(path, importHint(variable, "prometheus", "", ""))
		f.use(path)
		return
	}
	path += "." + keys[0]
	const host, port = "OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"
	s.setValue(host, at(f, plain, host, path+".host", "localhost"))
	s.setValue(port, at(f, whole(0, maxPort, ""), port, path+".port", 9464))
	f.record(variable, "prometheus", path)
	s.Metrics.Readers = append(s.Metrics.Readers, Reader{Export: Export{Exporter: "prometheus"}})
}

var instrumentKinds = map[string]sdkmetric.InstrumentKind{
	"": 0, "counter": sdkmetric.InstrumentKindCounter, "up_down_counter": sdkmetric.InstrumentKindUpDownCounter,
	"histogram": sdkmetric.InstrumentKindHistogram, "observable_counter": sdkmetric.InstrumentKindObservableCounter,
	"observable_up_down_counter": sdkmetric.InstrumentKindObservableUpDownCounter, "observable_gauge": sdkmetric.InstrumentKindObservableGauge,
	"gauge": sdkmetric.InstrumentKindGauge,
}

// view reads a view: OpenTelemetry Configuration, "View".
func (f *file) view(path string) (sdkmetric.View, error) {
	selector, stream := path+".selector.", path+".stream."
	text := f.text
	kind, known := instrumentKinds[text(selector+"instrument_type")]
	if !known {
		return nil, fmt.Errorf("instrument_type %q is not known", text(selector+"instrument_type"))
	}
	i := sdkmetric.Instrument{
		Name: text(selector + "instrument_name"), Unit: text(selector + "unit"), Kind: kind,
		Scope: instrumentation.Scope{
			Name: text(selector + "meter_name"), Version: text(selector + "meter_version"), SchemaURL: text(selector + "meter_schema_url"),
		},
	}
	s := sdkmetric.Stream{Name: text(stream + "name"), Description: text(stream + "description")}
	if i.Name == "" && i.Unit == "" && i.Kind == 0 && i.Scope == (instrumentation.Scope{}) {
		return nil, errors.New("a view needs a selector")
	}
	if s.Name != "" && strings.ContainsAny(i.Name, "*?") {
		return nil, errors.New("a view that renames must select one instrument by its whole name")
	}
	included, excluded := f.texts(stream+"attribute_keys.included"), f.texts(stream+"attribute_keys.excluded")
	if included != nil || excluded != nil {
		s.AttributeFilter = func(a attribute.KeyValue) bool {
			return !slices.Contains(excluded, string(a.Key)) && (included == nil || slices.Contains(included, string(a.Key)))
		}
	}
	if f.has(path + ".stream.aggregation") {
		var err error
		if s.Aggregation, err = f.aggregation(stream + "aggregation"); err != nil {
			return nil, err
		}
	}
	return sdkmetric.NewView(i, s), nil
}

func (f *file) aggregation(path string) (sdkmetric.Aggregation, error) {
	keys := f.keys(path)
	if len(keys) != 1 {
		return nil, fmt.Errorf("aggregation must be one, not %d", len(keys))
	}
	path += "." + keys[0]
	f.use(path)
	noMinMax := f.text(path+".record_min_max") == "false"
	switch keys[0] {
	case "default":
		return sdkmetric.AggregationDefault{}, nil
	case "drop":
		return sdkmetric.AggregationDrop{}, nil
	case "sum":
		return sdkmetric.AggregationSum{}, nil
	case "last_value":
		return sdkmetric.AggregationLastValue{}, nil
	case "explicit_bucket_histogram":
		a := sdkmetric.AggregationExplicitBucketHistogram{NoMinMax: noMinMax, Boundaries: sdkmetric.DefaultAggregationSelector(sdkmetric.InstrumentKindHistogram).(sdkmetric.AggregationExplicitBucketHistogram).Boundaries} //nolint:errcheck,forcetypeassert // the SDK's default
		if list, ok := f.value(path + ".boundaries").([]any); ok {
			bounds, ok := all(list, number)
			if !ok {
				return nil, errors.New("boundaries must be numbers")
			}
			if !slices.IsSorted(bounds) {
				return nil, errors.New("boundaries must be in ascending order")
			}
			a.Boundaries = bounds
		}
		return a, nil
	case "base2_exponential_bucket_histogram":
		a := sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20, NoMinMax: noMinMax}
		for key, to := range map[string]*int32{"max_size": &a.MaxSize, "max_scale": &a.MaxScale} {
			if text := f.text(path + "." + key); text != "" {
				n, err := strconv.ParseInt(text, 10, 32)
				if err != nil {
					return nil, fmt.Errorf("%s must be a whole number", key)
				}
				*to = int32(n)
			}
		}
		return a, nil
	}
	return nil, fmt.Errorf("aggregation %q is not known", keys[0])
}

// texts reads a list of texts. It is nil if there is none.
func (f *file) texts(path string) []string {
	list, ok := f.value(path).([]any)
	if !ok {
		return nil
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	return texts
}
