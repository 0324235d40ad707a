// Package stack runs the shop against Prometheus and the OpenTelemetry Collector
// with the configuration files of this repository, and proves that what the
// dashboards ask for is there. Tempo, Loki and Grafana are under the AGPL, and no
// part of any build here: Jaeger stores the traces and a receiver of this
// repository the log records, and what is said to Tempo and Loki is checked against
// their documented configuration and grammar.
package stack
