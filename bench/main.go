// Command bench measures the codec and the propagator beside their
// alternatives and writes tables and a chart:
//
//	cd bench && npm install && go run .
//
// npm install is for tctx, which runs under Deno; without it those rows are
// left out. All contenders of a row run in turns, many short rounds each, on
// one core; a row shows medians and the ratio of medians.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

func main() {
	var s settings
	out := flag.String("out", "results", "folder for codec.md and codec.svg")
	flag.IntVar(&s.rounds, "rounds", 21, "rounds per row")
	flag.DurationVar(&s.batch, "batch", 4*time.Millisecond, "time of one contender in one round")
	flag.Parse()
	if err := run(s, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(s settings, out string) error {
	runtime.GOMAXPROCS(1)
	tables := []table{againstStock(), againstPeers()}
	d, note := startDeno()
	if d != nil {
		defer d.stop()
		tables = append(tables, againstTctx(d))
	}
	for i := range tables {
		tables[i].measure(s)
	}
	tables = append(tables, remembering(s))
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "codec.svg"), []byte(chart(tables[0])), 0o644); err != nil {
		return err
	}
	flood, err := flood(s)
	if err != nil {
		return err
	}
	text := report(tables, note) + flood
	fmt.Print(text)
	return os.WriteFile(filepath.Join(out, "codec.md"), []byte(text), 0o644)
}
