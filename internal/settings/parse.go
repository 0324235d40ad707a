package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/internal/redact"
)

// kind reads a value of one type, and shows it without secrets. The error of
// parse says what is accepted.
type kind[T any] struct {
	parse func(text string) (T, error)
	show  func(T) string
}

// report collects what was read.
type report struct {
	effective []Setting
	problems  []Problem
}

// record notes what is in effect for a variable, and what said so. The value
// holds no secret.
func (r *report) record(variable, value, source string) {
	r.effective = append(r.effective, Setting{Name: variable, Value: value, Source: source})
}

// problem notes a text that cannot be used, without the secrets in it. The same
// one, read for each signal, is noted once.
func (r *report) problem(name, text, reason, using string) {
	p := Problem{Name: name, Value: redact.Text(text), Reason: reason, Using: using}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

// resolve reads text, which source says about a variable. An empty text is one
// that is not there.
func resolve[T any](r *report, k kind[T], variable, source, text string, def T) T {
	value, err := def, error(nil)
	if text != "" {
		if value, err = k.parse(text); err != nil {
			value = def
		}
	}
	r.resolved(variable, source, text, k.show(value), err)
	return value
}

// resolved notes what came of a text.
func (r *report) resolved(variable, source, text, shown string, err error) {
	if err != nil {
		r.problem(source, text, err.Error(), shown)
	}
	if err != nil || text == "" {
		source = Default
	}
	r.record(variable, shown, source)
}

func itself(text string) string { return text }

var plain = kind[string]{parse: func(text string) (string, error) { return text, nil }, show: redact.Text}

var boolean = kind[bool]{
	parse: func(text string) (bool, error) {
		switch strings.ToLower(text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, errors.New("must be true or false")
	},
	show: strconv.FormatBool,
}

// oneOf is an enumeration, whose values are compared without regard to case.
func oneOf(accepted []string) kind[string] {
	return kind[string]{
		parse: func(text string) (string, error) {
			if lower := strings.ToLower(text); slices.Contains(accepted, lower) {
				return lower, nil
			}
			return "", errors.New("must be " + either(accepted))
		},
		show: itself,
	}
}

func whole(low, high int, unit string) kind[int] {
	return kind[int]{
		parse: func(text string) (int, error) {
			n, err := strconv.Atoi(text)
			if err != nil || n < low || n > high {
				return 0, fmt.Errorf("must be a whole number%s from %d to %d", unit, low, high)
			}
			return n, nil
		},
		show: strconv.Itoa,
	}
}

const maxPort = math.MaxUint16

// noLimit is how a limit that is none is shown.
const noLimit = "no limit"

// limit is a whole number from 0 up. A negative one, from elsewhere, is none.
var limit = kind[int]{
	parse: whole(0, math.MaxInt32, "").parse,
	show: func(n int) string {
		if n < 0 {
			return noLimit
		}
		return strconv.Itoa(n)
	},
}

// length is a limit that can be switched off by a negative number, as the
// exporters of OpenTelemetry Go do it.
var length = kind[int]{
	parse: func(text string) (int, error) {
		if n, err := strconv.Atoi(text); err == nil && n < 0 {
			return -1, nil
		}
		n, err := limit.parse(text)
		if err != nil {
			err = fmt.Errorf("%w, or negative for no limit", err)
		}
		return n, err
	},
	show: limit.show,
}

var millis = kind[time.Duration]{
	parse: func(text string) (time.Duration, error) {
		n, err := whole(1, math.MaxInt32, " of milliseconds").parse(text)
		return time.Duration(n) * time.Millisecond, err
	},
	show: func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) },
}

// millisOr reads a duration whose zero has a meaning of its own.
func millisOr(zero time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		parse: func(text string) (time.Duration, error) {
			n, err := whole(0, math.MaxInt32, " of milliseconds").parse(text)
			if err == nil && n == 0 {
				return zero, nil
			}
			return time.Duration(n) * time.Millisecond, err
		},
		show: millis.show,
	}
}

// The kinds of durations whose zero is allowed. Of a timeout it is no limit:
// OpenTelemetry Environment Variable Specification, "Timeout". Of a delay it is
// none. Both are negative where they are used.
var (
	timeout = millisOr(-1)
	delay   = millisOr(-1)
)

// queueSize is a number of items, 0 if none was set.
var queueSize = kind[int]{
	parse: whole(1, maxQueueSize, "").parse,
	show: func(n int) string {
		if n == 0 {
			return noLimit
		}
		return strconv.Itoa(n)
	},
}

// maxQueueSize bounds a queue that the SDK allocates as a whole at the start.
const maxQueueSize = 1 << 20

func size(low int64) kind[int64] {
	return kind[int64]{
		parse: func(text string) (int64, error) {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < low {
				return 0, fmt.Errorf("must be a whole number of bytes, at least %d", low)
			}
			return n, nil
		},
		show: func(n int64) string { return strconv.FormatInt(n, 10) },
	}
}

var ratio = kind[float64]{
	parse: func(text string) (float64, error) {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f >= 0 && f <= 1) { // NaN is neither
			return 0, errors.New("ratio must be between 0 and 1")
		}
		return f, nil
	},
	show: func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) },
}

// address is an http or https URL. What has no scheme gets the given one, if
// that is not empty. standard is shown as an example.
func address(standard, scheme string) kind[*url.URL] {
	return kind[*url.URL]{
		parse: func(text string) (*url.URL, error) {
			if scheme != "" && !strings.Contains(text, "://") {
				text = scheme + "://" + text
			}
			u, err := url.Parse(text)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u.Port()) {
				return nil, errors.New("must be a URL such as " + standard)
			}
			return u, nil
		},
		show: func(u *url.URL) string { return redact.URL(u, redact.SensitiveQuery) },
	}
}

// validPort accepts what can follow the colon of a host: nothing, or a number
// of 16 bits that is not 0.
func validPort(port string) bool {
	if port == "" {
		return true
	}
	_, err := whole(1, maxPort, "").parse(port)
	return err == nil
}

// attributes are key=value,... percent-encoded. Resource SDK, "Specifying
// resource information via an environment variable", wants a value with any
// mistake discarded as a whole.
var attributes = kind[[]attribute.KeyValue]{
	parse: func(text string) ([]attribute.KeyValue, error) {
		var attrs []attribute.KeyValue
		for pair := range strings.SplitSeq(text, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			key, value, found := strings.Cut(pair, "=")
			key, keyErr := url.PathUnescape(strings.TrimSpace(key))
			value, valueErr := url.PathUnescape(strings.TrimSpace(value))
			if !found || key == "" || keyErr != nil || valueErr != nil || !utf8.ValidString(key+value) {
				return nil, fmt.Errorf("must be key=value,... percent-encoded UTF-8, which %q is not", redact.Text(strings.TrimSpace(pair)))
			}
			attrs = append(attrs, attribute.String(key, value))
		}
		return attrs, nil
	},
	show: func(attrs []attribute.KeyValue) string {
		if len(attrs) == 0 {
			return None
		}
		pairs := make([]string, len(attrs))
		for i, a := range attrs {
			pairs[i] = redact.Text(string(a.Key) + "=" + a.Value.String())
		}
		return strings.Join(pairs, ",")
	},
}

var logLevels = map[string]slog.Level{
	None: LogLevelNone, "error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug,
}

// asPrinted is how a level is shown that is not set.
const asPrinted = "as printed"

// level is a level of slog, whose names are compared without regard to case.
var level = kind[slog.Leveler]{
	parse: func(text string) (slog.Leveler, error) {
		var l slog.Level
		if l.UnmarshalText([]byte(text)) != nil {
			return nil, errors.New("must be debug, info, warn or error, or one of these with a number added, such as info+2")
		}
		return l, nil
	},
	show: func(l slog.Leveler) string {
		if l == nil {
			return asPrinted
		}
		return strings.ToLower(l.Level().String())
	},
}

// list reads the accepted entries of a comma-separated list, in order and
// without duplicates. It is def when nothing is set, or when none of the
// entries is accepted. An entry "none" stands alone, and is an empty list.
func list(r *report, variable, source, text string, def []string) []string {
	if text == "" {
		r.record(variable, strings.Join(def, ","), Default)
		return def
	}
	known := append(names(variable), None)
	var entries, unknown []string
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		switch {
		case entry == "" || slices.Contains(entries, entry):
		case slices.Contains(known, entry):
			entries = append(entries, entry)
		default:
			unknown = append(unknown, strconv.Quote(redact.Text(entry))+importHint(variable, entry, " (", ")"))
		}
	}
	from := source
	if len(entries) == 0 {
		entries, from = def, Default
	}
	if len(unknown) > 0 {
		r.problem(source, text, fmt.Sprintf("unknown %s, must be a list of %s", strings.Join(unknown, ", "), either(known)), strings.Join(entries, ","))
	} else if from == Default {
		r.problem(source, text, "must be a list of "+either(known), strings.Join(def, ","))
	}
	if len(entries) > 1 && slices.Contains(entries, None) {
		entries = slices.DeleteFunc(slices.Clone(entries), func(s string) bool { return s == None })
		r.problem(source, text, "none excludes every other entry", strings.Join(entries, ","))
	}
	r.record(variable, strings.Join(entries, ","), from)
	return slices.DeleteFunc(slices.Clone(entries), func(s string) bool { return s == None })
}

// importHint says which import a value needs.
func importHint(variable, name, before, after string) string {
	if pkg := Import(variable, name); pkg != "" {
		return before + name + " needs the import of " + pkg + after
	}
	return ""
}

func either(accepted []string) string {
	if len(accepted) == 1 {
		return accepted[0]
	}
	last := len(accepted) - 1
	return strings.Join(accepted[:last], ", ") + " or " + accepted[last]
}

// ParsePairs reads a list of key=value. A key may stand once, and must be
// accepted. A value without "=" has the key "".
func ParsePairs(text string, accepted []string) (map[string]string, error) {
	pairs := map[string]string{}
	if text == "" {
		return pairs, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			key, value = "", pair
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if _, twice := pairs[key]; twice || !slices.Contains(accepted, key) || value == "" {
			named := slices.DeleteFunc(slices.Clone(accepted), func(s string) bool { return s == "" })
			return nil, errors.New("must be a list of key=value, with key " + either(named))
		}
		pairs[key] = value
	}
	return pairs, nil
}
