package otelsetup

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EnvError says that an environment variable holds a value that cannot be
// used. The program runs on with the value named in Using.
type EnvError struct {
	Variable string // OTEL_TRACES_SAMPLER_ARG
	Value    string // as it was found
	Reason   string // what is wrong, and what is accepted
	Using    string // what is in effect instead
}

func (e *EnvError) Error() string {
	return fmt.Sprintf("%s=%q: %s; using %s", e.Variable, e.Value, e.Reason, e.Using)
}

// env reads variables by the rules of the OpenTelemetry specification,
// "Environment Variable Specification", section "Parsing empty value" and the
// sections on each type: an empty value is an unset one, and a value that
// cannot be used is reported and replaced by the default.
type env struct {
	problems []error
}

// value returns the first variable that is set, and its name.
func (*env) value(names ...string) (name, value string) {
	for _, name := range names {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			return name, v
		}
	}
	return "", ""
}

func (e *env) problem(name, value, reason string, using any) {
	e.problems = append(e.problems, &EnvError{name, value, reason, fmt.Sprint(using)})
}

// boolean is false unless the value is "true", in any case.
func (e *env) boolean(name string) bool {
	_, v := e.value(name)
	switch strings.ToLower(v) {
	case "true":
		return true
	case "", "false":
	default:
		e.problem(name, v, "must be true or false", false)
	}
	return false
}

// enum returns one of the accepted values, which are compared without regard
// to case.
func (e *env) enum(def string, accepted []string, names ...string) string {
	name, v := e.value(names...)
	if v == "" {
		return def
	}
	if lower := strings.ToLower(v); slices.Contains(accepted, lower) {
		return lower
	}
	e.problem(name, v, "must be "+oneOf(accepted), def)
	return def
}

// list returns the accepted entries of a comma-separated list, in order and
// without duplicates. It is def when the variable is not set, or when none of
// the entries is accepted.
func (e *env) list(name string, def, accepted []string) []string {
	_, v := e.value(name)
	if v == "" {
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
			unknown = append(unknown, strconv.Quote(entry))
		}
	}
	if len(entries) == 0 {
		entries = def
	}
	if len(unknown) > 0 {
		e.problem(name, v, fmt.Sprintf("unknown %s, must be a list of %s", strings.Join(unknown, ", "), oneOf(accepted)),
			strings.Join(entries, ","))
	}
	if len(entries) > 1 && slices.Contains(entries, "none") {
		entries = slices.DeleteFunc(entries, func(s string) bool { return s == "none" })
		e.problem(name, v, "none excludes every other entry", strings.Join(entries, ","))
	}
	return entries
}

func (e *env) integer(name string, def, low int) int {
	_, v := e.value(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > math.MaxInt32 {
		e.problem(name, v, fmt.Sprintf("must be a whole number from %d to %d", low, math.MaxInt32), def)
		return def
	}
	return n
}

// millis reads a duration, which is a whole number of milliseconds.
func (e *env) millis(name string, def time.Duration) time.Duration {
	_, v := e.value(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > math.MaxInt32 {
		e.problem(name, v, fmt.Sprintf("must be a whole number of milliseconds from 1 to %d", math.MaxInt32), def.Milliseconds())
		return def
	}
	return time.Duration(n) * time.Millisecond
}

// ratio reads a probability; def is 1, as the specification says.
func (e *env) ratio(name string) float64 {
	_, v := e.value(name)
	if v == "" {
		return 1
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= 1) { // NaN is neither
		e.problem(name, v, "ratio must be between 0 and 1", 1)
		return 1
	}
	return f
}

func oneOf(accepted []string) string {
	if len(accepted) == 1 {
		return accepted[0]
	}
	last := len(accepted) - 1
	return strings.Join(accepted[:last], ", ") + " or " + accepted[last]
}
