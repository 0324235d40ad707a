package tracecontext_test

import (
	"encoding/json"
	"fmt"

	"github.com/clewtrace/clew/tracecontext"
)

func Example() {
	// A service reads the headers of a request ...
	parent, err := tracecontext.ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err != nil {
		parent = tracecontext.NewTraceparent() // start a trace
	}
	state, err := tracecontext.ParseTracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	if err != nil {
		state = tracecontext.Tracestate{}
	}

	// ... and sends its own on.
	child := parent.Child()
	state, err = state.Set("shop@acme", "cart")
	fmt.Println(child.TraceID() == parent.TraceID(), child.ParentID() == parent.ParentID(), err)
	fmt.Println(state)
	// Output:
	// true false <nil>
	// shop@acme=cart,rojo=00f067aa0ba902b7,congo=t61rcWkgMzE
}

func ExampleParseTraceparent() {
	for _, header := range []string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
	} {
		tp, err := tracecontext.ParseTraceparent(header)
		fmt.Println(tp, err != nil)
	}
	// Output:
	// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 false
	// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 false
	//  true
}

func ExampleMustParseTraceparent() {
	tp := tracecontext.MustParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03")
	fmt.Printf("%x %x %t %t\n", tp.TraceID(), tp.ParentID(), tp.IsSampled(), tp.IsRandom())
	// Output: 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 true true
}

func ExampleNewTraceparent() {
	tp := tracecontext.NewTraceparent()
	fmt.Println(tp.IsValid(), tp.IsSampled(), tp.IsRandom(), len(tp.String()))
	// Output: true true true 55
}

func ExampleTraceparentFrom() {
	tp := tracecontext.TraceparentFrom([16]byte{15: 1}, [8]byte{7: 2}, tracecontext.FlagSampled)
	fmt.Println(tp)
	// Output: 00-00000000000000000000000000000001-0000000000000002-01
}

func ExampleTraceparent_WithSampled() {
	tp := tracecontext.MustParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	fmt.Println(tp.WithSampled(false))
	// Output: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00
}

func ExampleTraceparent_MarshalText() {
	job := struct {
		Task  string                   `json:"task"`
		Trace tracecontext.Traceparent `json:"trace"`
	}{"resize", tracecontext.MustParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}
	text, err := json.Marshal(job)
	fmt.Println(string(text), err)
	// Output: {"task":"resize","trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} <nil>
}

func ExampleParseTracestate() {
	ts, err := tracecontext.ParseTracestate("rojo=1, congo=2", "", "rojo=3,1a@b=4")
	fmt.Println(ts, ts.Len(), err)
	_, err = tracecontext.ParseTracestate("rojo=1,Congo=2")
	fmt.Println(err)
	// Output:
	// rojo=1,congo=2,1a@b=4 3 <nil>
	// tracestate field 1, position 7, in "Congo=2": a key begins with a-z or 0-9, not 'C'
}

func ExampleTracestate_All() {
	ts, _ := tracecontext.ParseTracestate("rojo=1,congo=2")
	for key, value := range ts.All() {
		fmt.Println(key, value)
	}
	// Output:
	// rojo 1
	// congo 2
}

func ExampleTracestate_Set() {
	ts, _ := tracecontext.ParseTracestate("rojo=1,congo=2")
	ts, err := ts.Set("congo", "3")
	fmt.Println(ts, err)
	fmt.Println(ts.Delete("rojo"))
	_, err = ts.Set("Congo", "3")
	fmt.Println(err)
	// Output:
	// congo=3,rojo=1 <nil>
	// congo=3
	// tracestate key "Congo": want 1 to 256 of a-z 0-9 _ - * / @, the first one of a-z 0-9
}

func ExampleTracestate_Get() {
	ts, _ := tracecontext.ParseTracestate("rojo=1,congo=2")
	value, ok := ts.Get("congo")
	fmt.Println(value, ok)
	// Output: 2 true
}

func ExampleTracestate_Truncate() {
	ts, _ := tracecontext.ParseTracestate("rojo=1,congo=2,azul=3")
	fmt.Println(ts.Truncate(14))
	// Output: rojo=1,congo=2
}
