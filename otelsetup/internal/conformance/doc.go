// Package conformance runs a program with each OTEL_* variable set, and looks at
// what arrives at a receiver. Its tests are the source of the tables in
// docs/environment.md:
//
//	go test ./otelsetup/internal/conformance -update
package conformance
