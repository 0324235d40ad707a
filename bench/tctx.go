package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/clewtrace/clew/tracecontext"
)

//go:embed tctx.js
var script []byte

// deno runs the operations of tctx on demand, so that they take turns with ours.
type deno struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	dir string
}

// startDeno returns nil and the reason if there is no Deno or no tctx.
func startDeno() (*deno, string) {
	program, err := exec.LookPath("deno")
	if err != nil {
		found, _ := filepath.Glob("node_modules/@deno/*/deno")
		if len(found) == 0 {
			return nil, "tctx was not measured: there is no deno on PATH or in node_modules (`npm install`)."
		}
		program = found[0]
	}
	module, err := filepath.Abs("node_modules/tctx")
	if err == nil {
		_, err = os.Stat(module)
	}
	if err != nil {
		return nil, "tctx was not measured: it is not in node_modules (`npm install`)."
	}
	d := &deno{dir: must(os.MkdirTemp("", "bench"))}
	file := filepath.Join(d.dir, "tctx.js")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		return nil, "tctx was not measured: " + err.Error()
	}
	d.cmd = exec.Command(program, "run", "--quiet", "--allow-read", "--node-modules-dir=manual", file, "file://"+module, parent, ts2) //nolint:noctx // ends with its input
	d.cmd.Stderr = os.Stderr
	d.in = must(d.cmd.StdinPipe())
	d.out = bufio.NewScanner(must(d.cmd.StdoutPipe()))
	if err := d.cmd.Start(); err != nil {
		return nil, "tctx was not measured: " + err.Error()
	}
	return d, ""
}

func (d *deno) stop() {
	_ = d.in.Close()
	_ = d.cmd.Wait()
	_ = os.RemoveAll(d.dir)
}

func (d *deno) op(name string) op {
	return func(n int) time.Duration {
		fmt.Fprintln(d.in, name, n)
		var ns int64
		if !d.out.Scan() {
			panic("deno ended")
		}
		if _, err := fmt.Sscan(d.out.Text(), &ns); err != nil {
			panic(err)
		}
		return time.Duration(ns)
	}
}

func againstTctx(d *deno) table {
	tp := tracecontext.MustParseTraceparent(parent)
	state := must(tracecontext.ParseTracestate(ts2))
	pair := func(name string, times float64, operation string, ours op) row {
		return row{name: name, want: limit{1 / times, noAllocs}, contenders: []contender{
			{name: "clew", op: ours}, {name: "tctx", op: d.op(operation), uncounted: true},
		}}
	}
	return table{
		title: "Against tctx, the JavaScript codec, under Deno",
		note:  "Its allocations are not known.",
		rows: []row{
			pair("parse a traceparent", 5, "parse", loop(func() { _, _ = tracecontext.ParseTraceparent(parent) })),
			pair("make one", 5, "make", loop(func() { tracecontext.NewTraceparent() })),
			pair("make a child", 5, "child", loop(func() { tp.Child() })),
			pair("parse a tracestate, 2 members", 5, "parseState", loop(func() { _, _ = tracecontext.ParseTracestate(ts2) })),
			pair("format a traceparent", 4, "format", format(tp)),
			pair("format a tracestate", 4, "formatState", loop(func() { _ = state.String() })),
		},
	}
}
