// Package stack runs the shop against Prometheus, Loki and the OpenTelemetry
// Collector with the configuration files of this repository, and proves that
// what the dashboards ask for is there. Tempo is not published as a Go module:
// Jaeger stores the traces in its place, and what is said to Tempo is checked
// against its documented configuration and grammar.
package stack
