package main

import (
	"context"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/contrib/bridges/otellogrus"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
)

// newLogrus exports by contrib's bridge. The hook that adds the ids for the
// printed line comes after it, because an exported record has them anyway.
func newLogrus() *logrus.Logger {
	logger := logrus.New()
	logger.AddHook(otellogrus.NewHook("example/loggers"))
	logger.AddHook(logrusIDs{})
	return logger
}

// logrusIDs adds the ids of the span in the entry's context to what is printed.
type logrusIDs struct{}

func (logrusIDs) Levels() []logrus.Level { return logrus.AllLevels }

func (logrusIDs) Fire(e *logrus.Entry) error {
	if sc := trace.SpanContextFromContext(e.Context); sc.IsValid() {
		e.Data[otelsetup.TraceIDKey] = sc.TraceID().String()
		e.Data[otelsetup.SpanIDKey] = sc.SpanID().String()
	}
	return nil
}

// orderWithLogrus gives the context to every line by WithContext.
func orderWithLogrus(ctx context.Context, log *logrus.Logger) error {
	log.Info("starting")
	ctx, span := tracer.Start(ctx, "order")
	defer span.End()
	log.WithContext(ctx).WithField("order", 7).Info("ordering")
	log.WithContext(ctx).WithError(errSoldOut).Error("not ordered")
	return nil
}
