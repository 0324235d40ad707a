package main

import (
	"context"
	"os"

	"go.opentelemetry.io/contrib/bridges/otelzap"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/clewtrace/clew/otelsetup"
)

// newZap exports by contrib's bridge, which takes the context from a field that
// holds one, and prints by a core that makes ids of that field.
func newZap() *zap.Logger {
	printed := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(os.Stderr), zap.InfoLevel)
	return zap.New(zapcore.NewTee(zapIDs{printed}, otelzap.NewCore("example/loggers")))
}

// zapIDs is a core that gets the ids of the span in place of a context.
type zapIDs struct{ zapcore.Core }

// With implements [zapcore.Core].
func (c zapIDs) With(fields []zapcore.Field) zapcore.Core { return zapIDs{c.Core.With(ids(fields))} }

// Check implements [zapcore.Core]: the core that writes is c.
func (c zapIDs) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements [zapcore.Core].
func (c zapIDs) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.Core.Write(e, ids(fields))
}

func ids(fields []zapcore.Field) []zapcore.Field {
	replaced := make([]zapcore.Field, 0, len(fields)+1)
	for _, f := range fields {
		ctx, ok := f.Interface.(context.Context)
		if !ok {
			replaced = append(replaced, f)
		} else if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			replaced = append(replaced, zap.Stringer(otelsetup.TraceIDKey, sc.TraceID()), zap.Stringer(otelsetup.SpanIDKey, sc.SpanID()))
		}
	}
	return replaced
}

// orderWithZap binds the context once for all lines of a request.
func orderWithZap(ctx context.Context, log *zap.Logger) error {
	log.Info("starting")
	ctx, span := tracer.Start(ctx, "order")
	defer span.End()
	log = log.With(zap.Any("context", ctx))
	log.Info("ordering", zap.Int("order", 7))
	log.Error("not ordered", zap.Error(errSoldOut))
	return nil
}
