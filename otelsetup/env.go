package otelsetup

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/clewtrace/clew/internal/redact"
)

// EnvError says that an environment variable, or a key of a configuration file,
// holds a value that cannot be used. The program runs on with the value named in
// Using.
type EnvError struct {
	Variable string // OTEL_TRACES_SAMPLER_ARG; or a key, tracer_provider.limits.event_count_limit
	Value    string // as it was found, secrets masked
	Reason   string // what is wrong, and what is accepted
	Using    string // what is in effect instead
}

func (e *EnvError) Error() string {
	return fmt.Sprintf("%s=%q: %s; using %s", e.Variable, e.Value, e.Reason, e.Using)
}

// Env reads variables by the rules of the OpenTelemetry specification,
// "Environment Variable Specification", sections "Parsing empty value" and on
// each type: an empty value is an unset one, spaces around a value do not
// count, and a value that cannot be used is reported by [Start] and replaced by
// the default. What was read appears in [Telemetry.Report].
//
// A method that takes several names reads the first variable that is set: the
// signal's own before the general one. An Env is for the duration of a call of
// [Start], by one goroutine.
type Env struct {
	problems    []error
	settings    []Setting
	onShutdown  []func(context.Context) error
	serviceName string
	metrics     metric.MeterProvider
	file        *ConfigFile // nil: the environment is read
	values      fileValues  // of file
}

// MeterProvider is where samplers and span exporters send their metrics: the
// one that is about to become the global one. It is nil for metric exporters.
func (e *Env) MeterProvider() metric.MeterProvider { return e.metrics }

// ServiceName is the name of the service in the resource.
func (e *Env) ServiceName() string { return e.serviceName }

// OnShutdown has f called by [Telemetry.Shutdown], for what was started and has
// no Shutdown of its own that the SDK would call.
func (e *Env) OnShutdown(f func(ctx context.Context) error) { e.onShutdown = append(e.onShutdown, f) }

// Lookup returns the first variable that is set, and its name; both are empty
// if none is. With a configuration file, what it says stands in place of the
// OTEL_* variables, and the name is the key in the file.
func (e *Env) Lookup(names ...string) (name, value string) {
	for _, name := range names {
		if e.file != nil && strings.HasPrefix(name, variablePrefix) {
			if v := e.values[name]; v.Value != "" {
				return v.Key, v.Value
			}
			continue
		}
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			return name, v
		}
	}
	return "", ""
}

// Problem reports a value that cannot be used: what is wrong with it, and what
// is used instead.
func (e *Env) Problem(name, value, reason string, using any) {
	err := &EnvError{name, value, reason, fmt.Sprint(using)}
	for _, p := range e.problems {
		if known, ok := p.(*EnvError); ok && *known == *err { //nolint:errorlint // nothing is wrapped here
			return // the general variable, read for each signal
		}
	}
	e.problems = append(e.problems, err)
}

// record notes what is in effect for names[0], and which of names said so.
func (e *Env) record(names []string, source string, value any) {
	if source == "" {
		source = SourceDefault
	}
	e.settings = append(e.settings, Setting{Name: names[0], Value: fmt.Sprint(value), Source: source})
}

// read parses the first variable that is set. When parse cannot use it, its
// error says what is accepted.
func read[T any](e *Env, def T, names []string, show func(T) any, parse func(string) (T, error)) T {
	name, v := e.Lookup(names...)
	if v == "" {
		e.record(names, "", show(def))
		return def
	}
	value, err := parse(v)
	if err != nil {
		e.Problem(name, v, err.Error(), show(def))
		e.record(names, "", show(def))
		return def
	}
	e.record(names, name, show(value))
	return value
}

func itself[T any](v T) any { return v }

// String reads any text.
func (e *Env) String(def string, names ...string) string {
	return read(e, def, names, itself, func(v string) (string, error) { return v, nil })
}

// Bool is false unless the value is "true", in any case.
func (e *Env) Bool(names ...string) bool {
	return read(e, false, names, itself, func(v string) (bool, error) {
		switch strings.ToLower(v) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, valueError("must be true or false")
	})
}

// valueError says what is wrong with a value, and what is accepted.
type valueError string

func (e valueError) Error() string { return string(e) }

// Enum reads one of the accepted values, which are compared without regard to
// case.
func (e *Env) Enum(def string, accepted []string, names ...string) string {
	return read(e, def, names, itself, func(v string) (string, error) {
		if lower := strings.ToLower(v); slices.Contains(accepted, lower) {
			return lower, nil
		}
		return "", valueError("must be " + oneOf(accepted))
	})
}

// List returns the accepted entries of a comma-separated list, in order and
// without duplicates. It is def when the variable is not set, or when none of
// the entries is accepted. An entry "none" stands alone. hint, which may be
// nil, says what to do about an entry that is not accepted.
func (e *Env) List(name string, def, accepted []string, hint func(entry string) string) []string {
	variable := name
	name, v := e.Lookup(variable)
	if v == "" {
		e.record([]string{variable}, "", strings.Join(def, ","))
		return def
	}
	var entries, unknown []string
	for entry := range strings.SplitSeq(v, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		switch {
		case entry == "" || slices.Contains(entries, entry):
		case slices.Contains(accepted, entry):
			entries = append(entries, entry)
		default:
			unknown = append(unknown, unknownEntry(entry, hint))
		}
	}
	source := name
	if len(entries) == 0 {
		entries, source = def, ""
	}
	if len(unknown) > 0 {
		e.Problem(name, v, fmt.Sprintf("unknown %s, must be a list of %s", strings.Join(unknown, ", "), oneOf(accepted)),
			strings.Join(entries, ","))
	} else if source == "" {
		e.Problem(name, v, "must be a list of "+oneOf(accepted), strings.Join(def, ","))
	}
	if len(entries) > 1 && slices.Contains(entries, none) {
		entries = slices.DeleteFunc(slices.Clone(entries), func(s string) bool { return s == none })
		e.Problem(name, v, "none excludes every other entry", strings.Join(entries, ","))
	}
	e.record([]string{variable}, source, strings.Join(entries, ","))
	return entries
}

func unknownEntry(entry string, hint func(string) string) string {
	quoted := strconv.Quote(entry)
	if hint != nil {
		if h := hint(entry); h != "" {
			return quoted + " (" + h + ")"
		}
	}
	return quoted
}

// Int reads a whole number that is at least low, and at most what 32 bits
// hold.
func (e *Env) Int(def, low int, names ...string) int {
	return read(e, def, names, itself, func(v string) (int, error) {
		return wholeNumber(v, low, "")
	})
}

// Limit reads a limit, a whole number from 0 up. A negative def means that
// there is none.
func (e *Env) Limit(def int, names ...string) int {
	show := func(n int) any {
		if n < 0 {
			return "no limit"
		}
		return n
	}
	return read(e, def, names, show, func(v string) (int, error) { return wholeNumber(v, 0, "") })
}

// Millis reads a duration, which is a whole number of milliseconds and at
// least one.
func (e *Env) Millis(def time.Duration, names ...string) time.Duration {
	show := func(d time.Duration) any { return d.Milliseconds() }
	return read(e, def, names, show, func(v string) (time.Duration, error) {
		n, err := wholeNumber(v, 1, " of milliseconds")
		return time.Duration(n) * time.Millisecond, err
	})
}

func wholeNumber(v string, low int, unit string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > math.MaxInt32 {
		return 0, valueError(fmt.Sprintf("must be a whole number%s from %d to %d", unit, low, math.MaxInt32))
	}
	return n, nil
}

// Ratio reads a probability; def is 1, as the specification says.
func (e *Env) Ratio(names ...string) float64 {
	return read(e, 1, names, itself, func(v string) (float64, error) {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !(f >= 0 && f <= 1) { // NaN is neither
			return 0, valueError("ratio must be between 0 and 1")
		}
		return f, nil
	})
}

// URL reads an http or https URL. Credentials in it are not shown.
func (e *Env) URL(def string, names ...string) *url.URL {
	return e.url(def, "", names, func(_ string, u *url.URL) *url.URL { return u })
}

// url completes the URL it read; source is the variable, or "" for def. A
// scheme is for what has none, "" if that is not accepted.
func (e *Env) url(def, scheme string, names []string, complete func(source string, u *url.URL) *url.URL) *url.URL {
	standard, err := url.Parse(def)
	if err != nil {
		standard = &url.URL{Scheme: "http", Host: "localhost"}
	}
	standard = complete("", standard)
	name, v := e.Lookup(names...)
	if v == "" {
		e.record(names, "", redact.URL(standard, nil))
		return standard
	}
	full := v
	if scheme != "" && !strings.Contains(v, "://") {
		full = scheme + "://" + v
	}
	u, err := url.Parse(full)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()) {
		e.Problem(name, redactText(v), "must be a URL such as "+def, redact.URL(standard, nil))
		e.record(names, "", redact.URL(standard, nil))
		return standard
	}
	u = complete(name, u)
	e.record(names, name, redact.URL(u, nil))
	return u
}

// Port reads the number of a port. 0 stands for any free one.
func (e *Env) Port(def int, names ...string) int {
	return read(e, def, names, itself, func(v string) (int, error) {
		n, err := wholeNumber(v, 0, "")
		if err != nil || n > maxPort {
			return 0, valueError(fmt.Sprintf("must be a whole number from 0 to %d", maxPort))
		}
		return n, nil
	})
}

const maxPort = 1<<16 - 1

// validPort accepts what can follow the colon of a host: nothing, or a number
// of 16 bits that is not 0.
func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := wholeNumber(port, 1, "")
	return err == nil && n <= maxPort
}

// mask stands for a secret.
const mask = "***"

// redactText hides what stands before an @ in something that is not a URL.
func redactText(v string) string {
	if i := strings.LastIndexByte(v, '@'); i >= 0 {
		return mask + v[i:]
	}
	return v
}

// Pairs reads a list of key=value. A key may stand once, and must be accepted.
// A value without "=" has the key "".
func (e *Env) Pairs(accepted []string, names ...string) map[string]string {
	show := func(pairs map[string]string) any {
		var shown []string
		for _, key := range slices.Sorted(maps.Keys(pairs)) {
			shown = append(shown, strings.TrimPrefix(key+"="+pairs[key], "="))
		}
		return strings.Join(shown, ",")
	}
	return read(e, nil, names, show, func(v string) (map[string]string, error) {
		pairs := map[string]string{}
		for pair := range strings.SplitSeq(v, ",") {
			key, value, found := strings.Cut(pair, "=")
			if !found {
				key, value = "", pair
			}
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if _, twice := pairs[key]; twice || !slices.Contains(accepted, key) || value == "" {
				return nil, valueError("must be a list of key=value, with key " + oneOf(slices.DeleteFunc(slices.Clone(accepted), func(s string) bool { return s == "" })))
			}
			pairs[key] = value
		}
		return pairs, nil
	})
}

func oneOf(accepted []string) string {
	if len(accepted) == 1 {
		return accepted[0]
	}
	last := len(accepted) - 1
	return strings.Join(accepted[:last], ", ") + " or " + accepted[last]
}
