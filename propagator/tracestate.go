package propagator

import (
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

// hold returns the members of ts that trace.TraceState can hold, in order, and
// whether those are all.
func hold(ts tracecontext.Tracestate) (trace.TraceState, bool) {
	if held, err := trace.ParseTraceState(ts.String()); err == nil {
		return held, true
	}
	var b strings.Builder
	for k, v := range ts.All() {
		if _, err := (trace.TraceState{}).Insert(k, v); err != nil {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + v)
	}
	held, _ := trace.ParseTraceState(b.String())
	return held, false
}

// merge puts the members that only r.all holds back among those of ts, which
// is r.held after any number of changes.
//
// A change moves a member to the front, so ts is: changed members, then some
// of r.held in their old order. The longest such end of ts is what has not
// been touched. The result is the changed members first, then r.all in its
// order without the members that were changed or deleted, at most 32.
// Its members that ts holds are in the order of ts.
func merge(ts trace.TraceState, r *received) string {
	type member struct{ key, value string }
	var now, before []member
	ts.Walk(func(k, v string) bool { now = append(now, member{k, v}); return true })
	r.held.Walk(func(k, v string) bool { before = append(before, member{k, v}); return true })

	// Match now against before from the end.
	changed := len(now)
	for i := len(before) - 1; i >= 0 && changed > 0; i-- {
		if before[i] == now[changed-1] {
			changed--
		}
	}
	untouched := make(map[string]bool, len(now))
	for _, m := range now[changed:] {
		untouched[m.key] = true
	}
	held := make(map[string]bool, len(before))
	for _, m := range before {
		held[m.key] = true
	}

	var b strings.Builder
	n := 0
	add := func(k, v string) {
		if n == 32 {
			return
		}
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + v)
		n++
	}
	for _, m := range now[:changed] {
		add(m.key, m.value)
	}
	for k, v := range r.all.All() {
		if untouched[k] || !held[k] {
			add(k, v)
		}
	}
	return b.String()
}
