package main

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
)

func report(tables []table, note string) string {
	var b strings.Builder
	b.WriteString("# The codec and the propagator beside their alternatives\n\n")
	fmt.Fprintf(&b, "Written by `go run .` in bench/. %s, %s/%s, one core unless said otherwise. Times are medians of rounds in turns, in ns; "+
		"after them, allocations. The ratio is ours to the second column: below 1 is faster.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if note != "" {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	for _, t := range tables {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", t.title, t.note)
		names := []string{}
		for _, c := range t.rows[0].contenders {
			names = append(names, c.name)
		}
		if len(names) == 2 {
			names[1] = "alternative"
		}
		fmt.Fprintf(&b, "| operation | %s | ratio | required | met |\n|---|%s---|---|---|\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
		for _, r := range t.rows {
			b.WriteString(r.line())
		}
	}
	return b.String()
}

func (r *row) line() string {
	cells := []string{r.name}
	for _, res := range r.results {
		cells = append(cells, res.String())
	}
	met, required := r.met()
	cells = append(cells, fmt.Sprintf("%.2f", r.ratio()), r.want.String(), "")
	if required {
		cells[len(cells)-1] = verdict(met)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func verdict(met bool) string {
	if met {
		return "yes"
	}
	return "**no**"
}

func (r result) String() string {
	s := strconv.FormatFloat(r.ns, 'f', 0, 64)
	if r.ns < 20 {
		s = strconv.FormatFloat(r.ns, 'f', 1, 64)
	}
	if r.allocs >= 0 {
		s += fmt.Sprintf(" / %.0f", math.Floor(r.allocs+0.01))
	}
	return s
}

func (l limit) String() string {
	s := ""
	if l.ratio > 0 {
		s = fmt.Sprintf("%.3g", l.ratio)
	}
	switch {
	case l.allocs == sameAllocs:
		s += ", no more allocations"
	case l.allocs >= 0:
		s += fmt.Sprintf(", %d allocations", l.allocs)
	}
	return s
}

// chart draws the ratios of a table as bars, with the required ratio as a mark.
func chart(t table) string {
	const left, width, height, top = 330, 420, 24, 50
	scale := func(ratio float64) float64 { return left + min(ratio, 1.1)/1.1*width }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", left+width+70, top+height*len(t.rows)+20)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="10" y="20" font-size="15">Time against the alternative in the same run (1 = as long, shorter is faster)</text>`+"\n")
	for _, ratio := range []float64{0, 0.25, 0.5, 0.75, 1} {
		fmt.Fprintf(&b, `<line x1="%.0f" y1="%d" x2="%.0f" y2="%d" stroke="#ccc"/><text x="%.0f" y="%d" text-anchor="middle" fill="#555">%g</text>`+"\n",
			scale(ratio), top-8, scale(ratio), top+height*len(t.rows), scale(ratio), top-12, ratio)
	}
	for i, r := range t.rows {
		y := top + i*height
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+15, r.name)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="#3b6ea5"/>`, left, y+3, scale(r.ratio())-left, height-8)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%.2f</text>`, scale(r.ratio())+5, y+15, r.ratio())
		if r.want.ratio > 0 {
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#c0392b" stroke-width="2"/>`, scale(r.want.ratio), y+1, scale(r.want.ratio), y+height-3)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#c0392b">| required</text>`+"\n</svg>\n", left, top+height*len(t.rows)+14)
	return b.String()
}
