package propagator

import (
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

type member struct{ key, value string }

func membersOf(ts trace.TraceState, room []member) []member {
	ts.Walk(func(k, v string) bool {
		room = append(room, member{k, v})
		return true
	})
	return room
}

// merge returns the tracestate to send for ts, which is r.held after any number
// of changes: the members that only r.all has are put back in their places.
//
// Whoever changes a member moves it to the front (section 3.5), so ts is
// changed members followed by an end of which nothing was changed: the longest
// one whose members are in r.held in the same order, others between them
// deleted. The result is the changed members, then what is left of r.all, in
// its order, without those that were changed or deleted; 32 at most.
// The members that ts holds are in the order of ts, whatever was done to it.
func (r *received) merge(ts trace.TraceState) string {
	switch {
	case r.unchanged(ts):
		return r.all.String()
	case !r.partial():
		return ts.String()
	}
	var room [2][tracecontext.MaxMembers]member
	now, before := membersOf(ts, room[0][:0]), membersOf(r.held, room[1][:0])

	changed := len(now)
	var kept uint32 // bit i: the member before[i] is in the unchanged end
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
	i := 0 // r.held is r.all with some left out
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

// unchanged reports whether ts is r.held. Its text is at hand then, and needs no
// allocation.
func (r *received) unchanged(ts trace.TraceState) bool {
	rest := r.text
	ts.Walk(func(k, v string) bool {
		var member string
		member, rest, _ = strings.Cut(rest, ",")
		if len(member) != len(k)+1+len(v) || member[:len(k)] != k || member[len(k)+1:] != v {
			rest = "changed"
			return false
		}
		return true
	})
	return rest == "" && ts.Len() == r.held.Len()
}
