package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
)

// traceFlagsKey is the third field of OpenTelemetry, "Trace Context in non-OTLP
// Log Formats".
const traceFlagsKey = "trace_flags"

// newZerolog has two parts, because contrib has no bridge for zerolog: a hook
// sees the context of a line but not its fields, and a writer sees the fields.
func newZerolog() zerolog.Logger {
	exported := zerologExport{otel.GetLoggerProvider().Logger("example/loggers")}
	return zerolog.New(zerolog.MultiLevelWriter(os.Stderr, exported)).Hook(zerolog.HookFunc(zerologIDs)).With().Timestamp().Logger()
}

// zerologIDs adds the ids of the span in the event's context to the line.
func zerologIDs(e *zerolog.Event, _ zerolog.Level, _ string) {
	if sc := trace.SpanContextFromContext(e.GetCtx()); sc.IsValid() {
		e.Stringer(otelsetup.TraceIDKey, sc.TraceID()).Stringer(otelsetup.SpanIDKey, sc.SpanID()).Stringer(traceFlagsKey, sc.TraceFlags())
	}
}

// zerologExport makes log records of the lines that zerolog writes.
type zerologExport struct{ log.Logger }

// Write implements [io.Writer], for lines without a level.
func (x zerologExport) Write(line []byte) (int, error) { return x.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements [zerolog.LevelWriter]. A line that is not JSON is the
// body of a record as it is.
func (x zerologExport) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	var r log.Record
	r.SetTimestamp(time.Now())
	if severity, ok := severities[level]; ok {
		r.SetSeverity(severity)
		r.SetSeverityText(level.String())
	}
	fields := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		fields = map[string]any{zerolog.MessageFieldName: string(line)}
	}
	ctx := spanOf(fields)
	for key, value := range fields {
		switch key {
		case zerolog.MessageFieldName:
			r.SetBody(attributeValue(value))
		case zerolog.ErrorFieldName:
			r.AddAttributes(attribute.KeyValue{Key: semconv.ExceptionMessageKey, Value: attributeValue(value)})
		case zerolog.LevelFieldName, zerolog.TimestampFieldName, otelsetup.TraceIDKey, otelsetup.SpanIDKey, traceFlagsKey:
			// The record has them already.
		default:
			r.AddAttributes(attribute.KeyValue{Key: attribute.Key(key), Value: attributeValue(value)})
		}
	}
	x.Emit(ctx, r)
	return len(line), nil
}

var severities = map[zerolog.Level]log.Severity{
	zerolog.TraceLevel: log.SeverityTrace,
	zerolog.DebugLevel: log.SeverityDebug,
	zerolog.InfoLevel:  log.SeverityInfo,
	zerolog.WarnLevel:  log.SeverityWarn,
	zerolog.ErrorLevel: log.SeverityError,
	zerolog.FatalLevel: log.SeverityFatal,
	zerolog.PanicLevel: log.SeverityFatal4,
}

// spanOf is a context with the span that the hook wrote into the line.
func spanOf(fields map[string]any) context.Context {
	text := func(key string) string { s, _ := fields[key].(string); return s }
	traceID, _ := trace.TraceIDFromHex(text(otelsetup.TraceIDKey))
	spanID, _ := trace.SpanIDFromHex(text(otelsetup.SpanIDKey))
	flags, _ := strconv.ParseUint(text(traceFlagsKey), 16, 8)
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags)})
	return trace.ContextWithSpanContext(context.Background(), sc)
}

func attributeValue(value any) attribute.Value {
	switch v := value.(type) {
	case string:
		return attribute.StringValue(v)
	case bool:
		return attribute.BoolValue(v)
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return attribute.Int64Value(i)
		}
		f, _ := v.Float64()
		return attribute.Float64Value(f)
	}
	text, _ := json.Marshal(value)
	return attribute.StringValue(string(text))
}

// orderWithZerolog gives the context to every line by Ctx.
func orderWithZerolog(ctx context.Context, log zerolog.Logger) error {
	log.Info().Msg("starting")
	ctx, span := tracer.Start(ctx, "order")
	defer span.End()
	log.Info().Ctx(ctx).Int("order", 7).Msg("ordering")
	log.Error().Ctx(ctx).Err(errSoldOut).Msg("not ordered")
	return nil
}
