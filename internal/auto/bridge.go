package auto

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Joined is what the program's own copy of OpenTelemetry's API tells, if it has
// one: a file that is added to package main joins it.
type Joined interface {
	// Serve puts the span of a request into a context of the program's copy.
	Serve(ctx context.Context, span trace.Span) context.Context
	// Span is the program's span of a context.
	Span(ctx context.Context) trace.SpanContext
	// SendsHTTP reports whether that is a client span of HTTP already.
	SendsHTTP(ctx context.Context) bool
	// SendsRPC reports the same of a call of gRPC.
	SendsRPC(ctx context.Context) bool
	// Installed reports whether the program has installed an SDK of its own.
	Installed() bool
}

var bridge Joined

// Bridge joins the program's copy. It is called while packages are initialized.
func Bridge(j Joined) { bridge = j }

// Enabled reports whether telemetry runs.
func Enabled() bool { return telemetry != nil }

// WithParent gives ctx the span that a new one belongs to.
func WithParent(ctx context.Context) context.Context { return withParent(ctx) }

// standsBack reports whether the program makes its spans by an SDK of its own.
func standsBack() bool { return bridge != nil && bridge.Installed() }
