package settings_test

import (
	"maps"
	"testing"
	"time"

	"github.com/clewtrace/clew/internal/settings"
)

// TestZeroAndNone reads values that stand for none: a timeout of 0, a delay of 0,
// a negative length, and what was not set.
func TestZeroAndNone(t *testing.T) {
	otlp := func(s settings.Settings) any { return s.Spans[0].OTLP.Timeout }
	batch := func(s settings.Settings) any { return s.Spans[0].Batch }
	logs := func(s settings.Settings) any { return s.Logs[0].Batch }
	lengths := func(s settings.Settings) any {
		return [2]int{s.SpanLimits.AttributeValueLengthLimit, s.LogLimits.AttributeValueLength}
	}
	refused := func(s settings.Settings) any { return s.Delivery.RefusedTimeout }
	standard := settings.Batch{Size: 2048, Delay: time.Second, ExportTimeout: 30 * time.Second}
	const second = time.Second
	settings.AcceptImports()
	for _, test := range []struct {
		rule string
		env  environ
		got  func(settings.Settings) any
		want any
	}{
		{"a request has no limit", environ{"OTEL_EXPORTER_OTLP_TIMEOUT": "0", "OTEL_BSP_EXPORT_TIMEOUT": "0"}, otlp, time.Duration(-1)},
		{"the signal's own is none", environ{"OTEL_EXPORTER_OTLP_TIMEOUT": "5", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0", "OTEL_BSP_EXPORT_TIMEOUT": "0"}, otlp, time.Duration(-1)},
		{"an export without limit leaves the request's", environ{"OTEL_BSP_EXPORT_TIMEOUT": "0"}, otlp, 10 * second},
		{"a request without limit has that of its export", environ{"OTEL_EXPORTER_OTLP_TIMEOUT": "0"}, otlp, 30 * second},
		{"metrics without limit", environ{"OTEL_METRIC_EXPORT_TIMEOUT": "0", "OTEL_EXPORTER_OTLP_TIMEOUT": "0"}, func(s settings.Settings) any {
			return [2]time.Duration{s.Metrics.Readers[0].Timeout, s.Metrics.Readers[0].OTLP.Timeout}
		}, [2]time.Duration{-1, -1}},
		{"Zipkin without limit", environ{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_ZIPKIN_TIMEOUT": "0"}, func(s settings.Settings) any { return s.Values["OTEL_EXPORTER_ZIPKIN_TIMEOUT"] }, time.Duration(-1)},
		{"the defaults of spans", environ{}, batch, standard},
		{"the defaults of log records", environ{}, logs, standard},
		{"over gRPC too", environ{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, batch, standard},
		{"with a spool a batch is small", environ{"CLEW_DELIVERY_SPOOL_DIR": "/spool"}, logs, settings.Batch{Size: 512, Delay: second, ExportTimeout: 30 * second}},
		{"other exporters of spans", environ{"OTEL_TRACES_EXPORTER": "zipkin"}, batch, settings.Batch{QueueSize: 2048, Size: 512, Delay: 5 * second, ExportTimeout: 30 * second}},
		{"spans at once", environ{"OTEL_BSP_SCHEDULE_DELAY": "0", "OTEL_BSP_EXPORT_TIMEOUT": "0"}, batch, settings.Batch{Size: 2048, Delay: -1, ExportTimeout: -1}},
		{"log records at once", environ{"OTEL_BLRP_SCHEDULE_DELAY": "0", "OTEL_BLRP_EXPORT_TIMEOUT": "0"}, logs, settings.Batch{Size: 2048, Delay: -1, ExportTimeout: -1}},
		{"a queue bounds the batch", environ{"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, batch, settings.Batch{QueueSize: 100, Size: 25, Delay: second, ExportTimeout: 30 * second}},
		{"without a queue any batch", environ{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000"}, batch, settings.Batch{Size: 100000, Delay: second, ExportTimeout: 30 * second}},
		{"lengths by default", environ{}, lengths, [2]int{16384, 16384}},
		{"lengths without limit", environ{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "-1"}, lengths, [2]int{-1, -1}},
		{"spans alone without limit", environ{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "-7"}, lengths, [2]int{-1, 16384}},
		{"log records alone", environ{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "9", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "-1"}, lengths, [2]int{9, -1}},
		{"no characters at all", environ{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "0"}, lengths, [2]int{0, 0}},
		{"refused by default", environ{}, refused, second},
		{"refused for longer", environ{"CLEW_DELIVERY_REFUSED_TIMEOUT": "2500"}, refused, 2500 * time.Millisecond},
		{"refused as long as any other", environ{"CLEW_DELIVERY_REFUSED_TIMEOUT": "0"}, func(s settings.Settings) any { return s.Delivery.RefusedTimeout > time.Hour }, true},
		{"delivery over gRPC", environ{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "CLEW_DELIVERY_QUEUE_SIZE": "100000"}, func(s settings.Settings) any { return s.Delivery.QueueSize }, int64(100000)},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s, problems := settings.Read(test.env.lookup)
			if got := test.got(s); got != test.want || len(problems) > 0 {
				t.Errorf("%v, want %v; problems %v", got, test.want, problems)
			}
		})
	}
}

// TestZeroInAFile reads the same from a configuration file.
func TestZeroInAFile(t *testing.T) {
	exporter := map[string]any{"otlp_http": map[string]any{"timeout": 0}}
	read := func(more map[string]any) settings.Settings {
		root := map[string]any{
			"file_format":     "1.0",
			"tracer_provider": map[string]any{"processors": []any{map[string]any{"batch": map[string]any{"schedule_delay": 0, "export_timeout": 0, "exporter": exporter}}}},
			"logger_provider": map[string]any{"processors": []any{map[string]any{"batch": map[string]any{"exporter": exporter}}}},
			"meter_provider":  map[string]any{"readers": []any{map[string]any{"periodic": map[string]any{"timeout": 0, "exporter": exporter}}}},
		}
		maps.Copy(root, more)
		settings.RegisterFileParser(parse(root))
		s, problems := settings.Read(environ{"OTEL_CONFIG_FILE": "otel.yaml"}.lookup)
		if len(problems) > 0 {
			t.Error(problems)
		}
		return s
	}
	s := read(nil)
	got := []any{s.Spans[0].Batch, s.Logs[0].Batch, s.Spans[0].OTLP.Timeout, s.Logs[0].OTLP.Timeout, s.Metrics.Readers[0].Timeout, s.Metrics.Readers[0].OTLP.Timeout, s.SpanLimits.AttributeValueLengthLimit, s.LogLimits.AttributeValueLength}
	want := []any{settings.Batch{Size: 2048, Delay: -1, ExportTimeout: -1}, settings.Batch{Size: 2048, Delay: time.Second, ExportTimeout: 30 * time.Second}, time.Duration(-1), 30 * time.Second, time.Duration(-1), time.Duration(-1), 16384, 16384}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %v, want %v", i, got[i], want[i])
		}
	}
	s = read(map[string]any{"attribute_limits": map[string]any{"attribute_value_length_limit": -1}})
	if s.SpanLimits.AttributeValueLengthLimit != -1 || s.LogLimits.AttributeValueLength != -1 {
		t.Errorf("lengths %d and %d, want no limit", s.SpanLimits.AttributeValueLengthLimit, s.LogLimits.AttributeValueLength)
	}
}
