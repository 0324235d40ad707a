// Package settings reads what the environment, or a configuration file, asks
// of telemetry.
//
// [Read] turns variables into [Settings] and a list of [Problem]s. It changes
// nothing in the process: no variable, no global. [Variables] is the table of
// everything it reads; the documents, the doctor and the hints for misspelt
// names come from it.
package settings

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Settings is all that is asked for, checked and complete: where nothing was
// set, or nothing that can be used, the default stands.
type Settings struct {
	ConfigFile  string // the file that was read in place of the variables, or ""
	Disabled    bool
	LogLevel    slog.Level // LogLevelNone prints nothing
	Propagators []string   // names; empty: nothing is passed on

	ServiceName string               // "" if it is not set
	Attributes  []attribute.KeyValue // of the resource, the service's name among them

	Sampler    Sampler
	SpanLimits sdktrace.SpanLimits
	LogLimits  LogLimits

	Spans     []Export // an entry for each exporter
	Logs      []Export
	PrintLogs bool // log records are printed too
	// LogExportLevel is the least level of the records that are exported; nil:
	// that of the handler that prints.
	LogExportLevel slog.Leveler
	Metrics        Metrics

	Delivery Delivery // read if something is sent by OTLP

	// Values are the variables of exporters that others plug in, if those are
	// asked for: a string, int, time.Duration or *url.URL by name.
	Values map[string]any

	// Effective is what is in effect, in the order in which it was read.
	Effective []Setting

	lookup func(name string) (string, bool)
	asked  map[string]bool // the names that Lookup was called with
}

// LogLevelNone is above all levels.
const LogLevelNone = slog.Level(100)

// Setting is one thing that is in effect.
type Setting struct {
	Name   string `json:"name"`   // of the variable that sets it, the signal's own if there are two
	Value  string `json:"value"`  // secrets masked
	Source string `json:"source"` // Default, the variable that was set, or the key in the file
}

// Default is the source of a [Setting] that nothing set.
const Default = "default"

// Problem is something that was asked for and cannot be done.
type Problem struct {
	Name   string // the variable, the key in the file, or the part that failed
	Value  string // as it was found, secrets masked
	Reason string // what is wrong, and what is accepted
	Using  string // what is in effect instead; may be empty
}

func (p Problem) String() string {
	text := p.Name
	if p.Value != "" {
		text += fmt.Sprintf("=%q", p.Value)
	}
	if text != "" {
		text += ": "
	}
	text += p.Reason
	if p.Using != "" {
		text += "; using " + p.Using
	}
	return text
}

// Sampler is a sampler by its name, or one that chooses by the parent.
type Sampler struct {
	Name   string  // a value of OTEL_TRACES_SAMPLER
	Arg    string  // its argument as it was found
	Ratio  float64 // the argument of a sampler that takes a ratio
	Source string  // where Name stands, for problems
	ArgAt  string  // where Arg stands

	ParentBased *ParentBased // from a file only; Name is empty then
}

// ParentBased chooses a sampler by the parent of a span. A nil one is the
// default of the specification: always on below a sampled parent, always off
// below another, and always on for a root.
type ParentBased struct {
	Root                           *Sampler
	RemoteSampled, RemoteUnsampled *Sampler
	LocalSampled, LocalUnsampled   *Sampler
}

// LogLimits bound the attributes of a log record. A negative limit is none.
type LogLimits struct{ AttributeCount, AttributeValueLength int }

// Export is where spans or log records go.
type Export struct {
	Exporter string // ExporterOTLP, ExporterConsole, or a registered name
	OTLP     *OTLP  // of ExporterOTLP
	Batch    Batch
}

// Batch is how spans or log records are put together.
type Batch struct {
	QueueSize     int           // items; 0: no bound of its own
	Size          int           // items
	Delay         time.Duration // negative: at once
	ExportTimeout time.Duration // negative: no limit
}

// Metrics is how metrics are collected and sent.
type Metrics struct {
	Exemplars string // trace_based, always_on or always_off
	Readers   []Reader
	Views     []sdkmetric.View // from a file only
}

// Reader is where metrics go, and how often.
type Reader struct {
	Export
	Interval    time.Duration
	Timeout     time.Duration // negative: no limit
	Temporality string        // cumulative, delta or lowmemory
	Histogram   string        // explicit_bucket_histogram or base2_exponential_bucket_histogram
}

// OTLP is how one signal is sent: OpenTelemetry Protocol Exporter,
// "Configuration Options".
type OTLP struct {
	Signal   string // "traces", "metrics" or "logs"
	Protocol string
	Endpoint *url.URL // over gRPC, scheme https means TLS, and any other none
	Target   string   // of gRPC, as gRPC spells it
	Headers  map[string]string
	Timeout  time.Duration // of one request; negative: no limit
	Gzip     bool
	TLS      TLS
}

// OverHTTP reports whether requests are sent over HTTP, and not in the way of a
// protocol that was registered.
func (c *OTLP) OverHTTP() bool { return c.Protocol == ProtocolProtobuf || c.Protocol == ProtocolJSON }

// Delivery is how requests are delivered, in the terms of package delivery.
type Delivery struct {
	QueueSize      int64
	SpoolDir       string // "" means that nothing is kept on disk
	SpoolSize      int64
	SpoolSync      bool
	Journal        bool
	RefusedTimeout time.Duration // above 0
}

// The values of variables that have a meaning here.
const (
	ExporterOTLP     = "otlp"
	ExporterConsole  = "console"
	ProtocolProtobuf = "http/protobuf"
	ProtocolJSON     = "http/json"
	ProtocolGRPC     = "grpc"
	None             = "none"
	ParentPrefix     = "parentbased_"
	SamplerStandard  = ParentPrefix + "always_on"

	SignalTraces  = "traces"
	SignalMetrics = "metrics"
	SignalLogs    = "logs"
)

// Lookup returns the text of a variable that the table does not have, for what
// others plug in. It is "" if the variable is not set, or if a file was read in
// place of the variables and the name begins with OTEL_.
func (s *Settings) Lookup(name string) string {
	if s.asked == nil {
		s.asked = map[string]bool{}
	}
	s.asked[name] = true
	if s.ConfigFile != "" && strings.HasPrefix(name, "OTEL_") || s.lookup == nil {
		return ""
	}
	text, _ := s.lookup(name)
	return strings.TrimSpace(text)
}

func (s *Settings) setValue(name string, v any) {
	if s.Values == nil {
		s.Values = map[string]any{}
	}
	s.Values[name] = v
}

// NeedSpool says which settings have no effect because there is no directory,
// and takes them back. A program that customizes the delivery may have its own
// directory, for which the size and the sync count.
func (s *Settings) NeedSpool(customized bool) []Problem {
	d := &s.Delivery
	if d.SpoolDir != "" || d.QueueSize == 0 { // nothing is delivered
		return nil
	}
	var r report
	unused := func(variable string, set bool, value, using string) {
		if set {
			r.problem(variable, value, "must come with a directory: CLEW_DELIVERY_SPOOL_DIR is not set", using)
			s.FallBack(variable, using)
		}
	}
	standard := spoolSize(d.QueueSize)
	unused("CLEW_DELIVERY_JOURNAL", d.Journal, "true", "false")
	d.Journal = false
	if customized {
		return r.problems
	}
	unused("CLEW_DELIVERY_SPOOL_SIZE", d.SpoolSize != standard, strconv.FormatInt(d.SpoolSize, 10), strconv.FormatInt(standard, 10))
	unused("CLEW_DELIVERY_SPOOL_SYNC", d.SpoolSync, "true", "false")
	d.SpoolSize, d.SpoolSync = standard, false
	return r.problems
}

// FallBack notes that a default is in effect in place of what source says.
func (s *Settings) FallBack(source, value string) {
	for i := range s.Effective {
		if e := &s.Effective[i]; e.Source == source {
			e.Value, e.Source = value, Default
		}
	}
}

// SendsOTLP reports whether something is sent by OTLP, which is delivered by store
// and forward.
func (s *Settings) SendsOTLP() bool {
	sends := func(e Export) bool { return e.OTLP != nil }
	return slices.ContainsFunc(s.Spans, sends) || slices.ContainsFunc(s.Logs, sends) ||
		slices.ContainsFunc(s.Metrics.Readers, func(r Reader) bool { return sends(r.Export) })
}
