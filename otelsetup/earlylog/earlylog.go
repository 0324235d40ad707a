// Package earlylog makes loggers that a package keeps in variables,
//
//	var logger = slog.With("component", "orders")
//
// belong to the telemetry that [otelsetup.Start] sets up later: their records
// have the ids of the span and keep the kinds of their attributes. A package
// imports it for that, without a name, if Go could initialise the package before
// otelsetup, which imports earlylog as well. Otherwise nothing changes: until
// Start is called, and after Shutdown, such loggers print what they would print
// without it.
//
// It depends on the standard library alone.
//
// [otelsetup.Start]: https://pkg.go.dev/github.com/clewtrace/clew/otelsetup#Start
package earlylog

import _ "github.com/clewtrace/clew/internal/slog" // puts its handler in front of slog's
