package otelsetup

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// diagnostics is the [otel.ErrorHandler]: what goes wrong inside the SDK is
// printed, and never exported, since exporting is what goes wrong most often.
// One line is printed at once, then one per minute with a count, so that an
// absent collector does not fill the log.
//
// While Shutdown runs, errors are collected for its result instead.
type diagnostics struct {
	log *slog.Logger

	mu         sync.Mutex
	next       time.Time // no line before
	held       int       // errors since the last line
	collecting bool
	collected  []error
}

const diagnosticsInterval = time.Minute

// Handle implements [otel.ErrorHandler].
func (d *diagnostics) Handle(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.collecting {
		d.collected = append(d.collected, err)
		return
	}
	now := time.Now()
	if now.Before(d.next) {
		d.held++
		return
	}
	attrs := []any{slog.Any("error", err)}
	if d.held > 0 {
		attrs = append(attrs, slog.Int("errors_not_shown", d.held))
	}
	d.next, d.held = now.Add(diagnosticsInterval), 0
	d.log.Warn("opentelemetry", attrs...)
}

func (d *diagnostics) collect() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collecting = true
}

// collectedErrors ends the collecting and returns what came.
func (d *diagnostics) collectedErrors() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := errors.Join(d.collected...)
	d.collecting, d.collected = false, nil
	return err
}
