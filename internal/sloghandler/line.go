package sloghandler

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// maxSplit bounds the lines whose attributes are taken apart.
const maxSplit = 64 << 10

// cutLevel takes the level off a line of slog's default handler, which begins
// with the text of [slog.Level.String].
func cutLevel(line string) (level slog.Level, rest string, ok bool) {
	name, rest, ok := strings.Cut(line, " ")
	if !ok || level.UnmarshalText([]byte(name)) != nil || level.String() != name {
		return 0, "", false
	}
	return level, rest, true
}

// record makes a record of the rest of a line. All values are strings, because
// the line does not tell 1 from "1", and the names of groups are part of the
// keys.
func record(at time.Time, level slog.Level, prefix, line string, pc uintptr) slog.Record {
	message, attrs := split(line)
	r := slog.NewRecord(at, level, prefix+message, pc)
	r.AddAttrs(attrs...)
	return r
}

// split takes the attributes, key=value with a space before each, off the end of
// a line. A message that itself ends like that cannot be told apart.
func split(line string) (message string, attrs []slog.Attr) {
	if len(line) > maxSplit {
		return line, nil
	}
	start, from := len(line), make([]bool, len(line)+1) // from where there are only attributes
	from[start] = true
	for at := strings.LastIndexByte(line, ' '); at >= 0; at = strings.LastIndexByte(line[:at], ' ') {
		if _, n := attribution(line[at+1:]); n > 0 && from[at+1+n] {
			start, from[at] = at, true
		}
	}
	for at := start; at < len(line); {
		a, n := attribution(line[at+1:])
		attrs = append(attrs, a)
		at += 1 + n
	}
	return line[:start], attrs
}

// attribution reads key=value, up to the end or a space. n is 0 if that is not
// what text begins with.
func attribution(text string) (a slog.Attr, n int) {
	key, rest, ok := word(text)
	if !ok || !strings.HasPrefix(rest, "=") {
		return a, 0
	}
	value, rest, ok := word(rest[1:])
	if !ok || rest != "" && rest[0] != ' ' {
		return a, 0
	}
	return slog.String(key, value), len(text) - len(rest)
}

// word reads a key or a value, which is quoted if it is empty or has a space, a
// quotation mark or an equals sign in it.
func word(text string) (value, rest string, ok bool) {
	if strings.HasPrefix(text, `"`) {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return "", "", false
		}
		value, err = strconv.Unquote(quoted)
		return value, text[len(quoted):], err == nil
	}
	end := strings.IndexAny(text, ` ="`)
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:], end > 0
}
