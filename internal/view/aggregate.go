package view

import (
	"cmp"
	"slices"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// Calls is a sum of calls. Times are in nanoseconds.
type Calls struct {
	Calls  int   `json:"calls"`
	Errors int   `json:"errors"`
	P50    int64 `json:"p50"`
	P95    int64 `json:"p95"`
	Max    int64 `json:"max"`

	durations []int64
}

func (c *Calls) add(s otlpreceiver.Span) {
	c.Calls++
	if isError(s) {
		c.Errors++
	}
	c.durations = append(c.durations, duration(s))
}

func (c *Calls) finish() {
	slices.Sort(c.durations)
	c.P50, c.P95, c.Max = quantile(c.durations, 50), quantile(c.durations, 95), quantile(c.durations, 100)
	c.durations = nil
}

// quantile returns the smallest element that is not below the given percentage of all
// elements.
func quantile(sorted []int64, percent int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

// maxRows bounds the number of services, of edges between them and of operations that
// are listed. All further ones are summed up as others.
const (
	maxRows = 2000
	others  = "(others)"
)

// Graph has the services of traces and shows which of them call each other.
type Graph struct {
	Nodes []*GraphNode `json:"nodes"`
	Edges []*GraphEdge `json:"edges"`
}

// GraphNode is a service with the calls that it answered.
type GraphNode struct {
	Service string `json:"service"`
	// External is set for a service that sends no spans, such as a database or a service
	// of somebody else.
	External bool `json:"external"`
	Calls
}

// GraphEdge is the sum of the calls from one service to another.
type GraphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
	Calls
}

// Graph returns the graph of the selected traces.
func (r *Ring) Graph(q Query) Graph {
	type pair struct{ from, to string }
	nodes, edges := map[string]*GraphNode{}, map[pair]*GraphEdge{}
	nodeOf := func(service string) *GraphNode {
		if nodes[service] == nil && len(nodes) >= maxRows {
			service = others
		}
		if nodes[service] == nil {
			nodes[service] = &GraphNode{Service: service, External: true}
		}
		return nodes[service]
	}
	addCall := func(from, to string, s otlpreceiver.Span) {
		nodeOf(to).add(s)
		key := pair{from, to}
		if edges[key] == nil && len(edges) >= maxRows || nodes[from] == nil || nodes[to] == nil {
			key = pair{others, others}
			nodeOf(others)
		}
		if edges[key] == nil {
			edges[key] = &GraphEdge{From: key.from, To: key.to}
		}
		edges[key].add(s)
	}
	r.eachTree(q, func(t *tree) {
		for _, n := range t.nodes {
			service := n.Service()
			nodeOf(service).External = false
			if n.parent < 0 {
				nodeOf(service).add(n.Span)
			} else if caller := t.nodes[n.parent].Service(); caller != service {
				addCall(caller, service, n.Span)
			}
			if to := peer(n); to != "" && to != service {
				addCall(service, to, n.Span)
			}
		}
	})
	var g Graph
	for _, n := range nodes {
		n.finish()
		g.Nodes = append(g.Nodes, n)
	}
	for _, e := range edges {
		e.finish()
		g.Edges = append(g.Edges, e)
	}
	slices.SortFunc(g.Nodes, func(a, b *GraphNode) int { return cmp.Compare(a.Service, b.Service) })
	slices.SortFunc(g.Edges, func(a, b *GraphEdge) int {
		return cmp.Or(cmp.Compare(b.Calls.Calls, a.Calls.Calls), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return g
}

// peerAttributes are the attributes that name the target of a call, the most specific
// first.
var peerAttributes = []string{"peer.service", "db.system.name", "db.system", "messaging.system", "rpc.service", "server.address", "net.peer.name"}

// peer returns the name of the target of a call that no received span answered, or the
// empty string.
func peer(n node) string {
	if k := kind(n.Span); len(n.children) > 0 || k != "client" && k != "producer" {
		return ""
	}
	for _, key := range peerAttributes {
		if name := otlpreceiver.Attribute(n.GetAttributes(), key).GetStringValue(); name != "" {
			cut(&name, maxService)
			return name
		}
	}
	return ""
}

// Operation is the sum of the spans of a service that have the same name.
type Operation struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Self    int64  `json:"self"` // nanoseconds in all that were not spent in children
	Calls
}

// Operations returns the operations of the selected traces. The one with the largest
// sum of Self is first.
func (r *Ring) Operations(q Query) []*Operation {
	type key struct{ service, name string }
	operations := map[key]*Operation{}
	r.eachTree(q, func(t *tree) {
		for i, n := range t.nodes {
			k := key{n.Service(), n.GetName()}
			o := operations[k]
			if o == nil && len(operations) >= maxRows {
				k = key{others, others}
				o = operations[k]
			}
			if o == nil {
				o = &Operation{Service: k.service, Name: k.name}
				operations[k] = o
			}
			o.add(n.Span)
			o.Self += t.self(i)
		}
	})
	all := make([]*Operation, 0, len(operations))
	for _, o := range operations {
		o.finish()
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *Operation) int {
		return cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func (r *Ring) eachTree(q Query, visit func(*tree)) {
	r.each(func(t *stored) bool {
		if q.matches(t) {
			visit(newTree(t.spans))
		}
		return true
	})
}
