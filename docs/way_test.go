package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// mostSteps is how many functions of this project a span goes through, from the
// OnEnd of the processor to the socket.
const mostSteps = 7

// TestWayOfASpan reads the list in delivery.md: each function is in the file that
// it names, and calls the next one. So no other function is between them. Only the
// queue is: what enqueue puts there, the dispatcher takes to startSends.
func TestWayOfASpan(t *testing.T) {
	_, list, _ := strings.Cut(read(t, "delivery.md"), "<!-- begin way -->")
	list, _, closed := strings.Cut(list, "<!-- end way -->")
	items := regexp.MustCompile(`(?m)^\d+\. `).Split(list, -1)[1:]
	if !closed || len(items) < 2 || len(items) > mostSteps {
		t.Fatalf("%d steps, want at most %d", len(items), mostSteps)
	}
	var last string
	var calls map[string]bool
	for i, item := range items {
		steps := named.FindAllStringSubmatch(item, -1)
		if len(steps) == 0 {
			t.Fatalf("step %d names no function: %s", i+1, item)
		}
		for _, step := range steps {
			switch {
			case i == 0 || calls[step[1]]:
			case last == "enqueue" && calls["wakeDispatcher"] && called(t, "../delivery/transport.go", "dispatch")[step[1]]:
			default:
				t.Errorf("%s does not call %s", last, step[1])
			}
		}
		last, calls = steps[0][1], called(t, steps[0][2], steps[0][1])
		for _, other := range steps[1:] {
			called(t, other[2], other[1])
		}
	}
	// With a journal, it takes the place of handOver.
	if !called(t, "../delivery/batch.go", "add")["journal"] || !called(t, "../delivery/batch.go", "journal")["enqueue"] {
		t.Error("the way of the journal is another one, or longer")
	}
	// This is how batches come to the dispatcher.
	if !called(t, "../delivery/transport.go", "dispatch")["handOverDue"] || !called(t, "../delivery/transport.go", "handOverDue")["handOver"] {
		t.Error("the dispatcher does not hand batches over")
	}
}

// called returns what a function or method calls, by its name alone.
func called(t *testing.T, path, name string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	calls, found := map[string]bool{}, false
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != name {
			continue
		}
		found = true
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				switch to := call.Fun.(type) {
				case *ast.Ident:
					calls[to.Name] = true
				case *ast.SelectorExpr:
					calls[to.Sel.Name] = true
				}
			}
			return true
		})
	}
	if !found {
		t.Errorf("%s declares no %s", path, name)
	}
	return calls
}
