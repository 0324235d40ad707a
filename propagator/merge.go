package propagator

import (
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

type member struct{ key, value string }

// appendMembers appends the members of ts to list.
func appendMembers(list []member, ts trace.TraceState) []member {
	ts.Walk(func(k, v string) bool {
		list = append(list, member{k, v})
		return true
	})
	return list
}

// merge returns the tracestate to send for ts. ts is r.held after any number of
// changes; the members that only r.all has are put back in their places.
//
// A member that is changed or added moves to the front (Trace Context Level 2,
// "Mutating the tracestate Field"). So ts begins with the changed members, and ends
// with members that were not changed. The unchanged end is the longest end of ts
// whose members are in r.held in the same order. What r.held has between them was
// deleted.
//
// The result is the changed members, then r.all in its order without the members
// that were changed or deleted, cut to 32. Members of ts keep the order of ts.
func (r *received) merge(ts trace.TraceState) string {
	switch {
	case r.unchanged(ts):
		return r.all.String()
	case !r.partial():
		return ts.String()
	}
	var onStack [2][tracecontext.MaxMembers]member // so that the lists take no allocation
	now, before := appendMembers(onStack[0][:0], ts), appendMembers(onStack[1][:0], r.held)

	changed := len(now) // now[changed:] is the unchanged end
	var kept uint32     // bit i is set if before[i] is in the unchanged end
	for i := len(before) - 1; i >= 0 && changed > 0; i-- {
		if before[i] == now[changed-1] {
			changed--
			kept |= 1 << i
		}
	}

	var b strings.Builder
	b.Grow(len(r.all.String()) + 64)
	n := 0
	add := func(m member) {
		if n == tracecontext.MaxMembers {
			return
		}
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteString(m.key)
		b.WriteByte('=')
		b.WriteString(m.value)
	}
	for _, m := range now[:changed] {
		add(m)
	}
	i := 0 // the next member of before, which is r.all with some left out
	for k, v := range r.all.All() {
		if i == len(before) || before[i].key != k {
			add(member{k, v})
			continue
		}
		if kept&(1<<i) != 0 {
			add(before[i])
		}
		i++
	}
	return b.String()
}

// unchanged reports whether ts is r.held. It compares ts with the text of r.held,
// because to make the text of ts would take an allocation.
func (r *received) unchanged(ts trace.TraceState) bool {
	if ts.Len() != r.held.Len() {
		return false
	}
	rest, same := r.text, true
	ts.Walk(func(k, v string) bool {
		var member string
		member, rest, _ = strings.Cut(rest, ",")
		same = len(member) == len(k)+1+len(v) && member[:len(k)] == k && member[len(k)+1:] == v
		return same
	})
	return same
}
