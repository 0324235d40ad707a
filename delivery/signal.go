package delivery

import "strconv"

// Signal is a kind of telemetry. OTLP carries each kind in a request of its own.
type Signal uint8

// The three signals.
const (
	Traces Signal = iota
	Metrics
	Logs

	numSignals = 3
)

var signals = [numSignals]Signal{Traces, Metrics, Logs}

// String returns the name of the signal as the OTLP paths spell it: "traces",
// "metrics" or "logs".
func (s Signal) String() string {
	switch s {
	case Traces:
		return "traces"
	case Metrics:
		return "metrics"
	case Logs:
		return "logs"
	}
	return "Signal(" + strconv.Itoa(int(s)) + ")"
}

// items names what a request of the signal is counted in.
func (s Signal) items() string {
	switch s {
	case Metrics:
		return "data points"
	case Logs:
		return "log records"
	default:
		return "spans"
	}
}
