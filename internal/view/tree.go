package view

import (
	"cmp"
	"slices"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// tree has the spans of a trace in the order in which the waterfall shows them: parents
// before their children, and siblings by start.
type tree struct {
	nodes []node
	start int64 // of the earliest span, nanoseconds since 1970
	end   int64 // of the latest
	main  int   // the root that the trace is named after
}

// node is a span in a tree.
type node struct {
	otlpreceiver.Span
	start, end int64
	parent     int // index in the tree, -1 for a root
	depth      int
	children   []int // indexes, by start
	orphan     bool  // a root only because its parent was not received
	critical   [][2]int64
}

// newTree arranges the spans. A span whose parent was not received is a root. If
// parents form a circle, one of its spans is a root.
func newTree(spans []otlpreceiver.Span) *tree {
	t := &tree{nodes: make([]node, 0, len(spans)), main: -1}
	byStart := make([]int, len(spans))
	index := make(map[spanID]int, len(spans))
	for i, s := range spans {
		byStart[i] = i
		index[spanID(s.GetSpanId())] = i
	}
	slices.SortStableFunc(byStart, func(a, b int) int {
		return cmp.Compare(spans[a].GetStartTimeUnixNano(), spans[b].GetStartTimeUnixNano())
	})
	children := make([][]int, len(spans))
	var roots []int
	for _, i := range byStart {
		var parent spanID
		copy(parent[:], spans[i].GetParentSpanId())
		p, known := index[parent]
		if known && p != i {
			children[p] = append(children[p], i)
		} else {
			roots = append(roots, i)
		}
	}
	placed := make([]bool, len(spans))
	for _, i := range slices.Concat(roots, byStart) {
		t.place(spans, children, placed, i)
	}
	t.findExtent()
	return t
}

// place adds a root and all spans below it. It skips spans that are already placed,
// which ends the walk around a circle.
func (t *tree) place(spans []otlpreceiver.Span, children [][]int, placed []bool, root int) {
	type step struct{ span, parent int }
	todo := []step{{root, -1}}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if placed[next.span] {
			continue
		}
		placed[next.span] = true
		n := node{Span: spans[next.span], parent: next.parent}
		n.orphan = n.parent < 0 && len(n.GetParentSpanId()) > 0
		n.start, n.end = times(n.Span)
		at := len(t.nodes)
		if p := next.parent; p >= 0 {
			n.depth = t.nodes[p].depth + 1
			t.nodes[p].children = append(t.nodes[p].children, at)
		}
		t.nodes = append(t.nodes, n)
		for _, child := range slices.Backward(children[next.span]) {
			todo = append(todo, step{child, at})
		}
	}
}

// findExtent finds the start and end of the trace and its main root: the first root
// without a parent, or else the first one whose parent was not received.
func (t *tree) findExtent() {
	for i, n := range t.nodes {
		if i == 0 {
			t.start, t.end = n.start, n.end
		}
		t.start, t.end = min(t.start, n.start), max(t.end, n.end)
		if n.parent >= 0 {
			continue
		}
		if t.main < 0 || t.nodes[t.main].orphan && !n.orphan {
			t.main = i
		}
	}
}

// self returns the time of a span during which none of its children was running.
func (t *tree) self(i int) int64 {
	n := t.nodes[i]
	covered, until := int64(0), n.start
	for _, c := range n.children {
		child := t.nodes[c]
		from, to := max(until, child.start), min(n.end, child.end)
		if to > from {
			covered += to - from
			until = to
		}
	}
	return n.end - n.start - covered
}

// findCriticalPath marks, on the main root and below it, the time that determines the
// duration of the root. It goes back from the end of a span: each moment belongs to the
// child that ended last before it, and to the span itself if no child was running.
func (t *tree) findCriticalPath() {
	if t.main < 0 {
		return
	}
	type step struct {
		node  int
		until int64
	}
	todo := []step{{t.main, t.nodes[t.main].end}}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n := &t.nodes[next.node]
		byEnd := slices.Clone(n.children)
		slices.SortStableFunc(byEnd, func(a, b int) int { return cmp.Compare(t.nodes[b].end, t.nodes[a].end) })
		at := next.until
		for _, c := range byEnd {
			child := t.nodes[c]
			end := min(child.end, at)
			if child.start >= at || end <= n.start || end <= child.start {
				continue
			}
			if at > end {
				n.critical = append(n.critical, [2]int64{end, at})
			}
			todo = append(todo, step{c, end})
			at = max(n.start, child.start)
		}
		if at > n.start {
			n.critical = append(n.critical, [2]int64{n.start, at})
		}
	}
}
