// Command plain is built by plain go, and by clew go.
package main

import "github.com/clewtrace/clew/bench/auto/work"

func main() { work.Main(work.Mux()) }
