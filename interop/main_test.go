package interop_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the result tables of docs/interop.md")

func TestMain(m *testing.M) {
	if name := os.Getenv(serviceEnv); name != "" {
		serveUntilStdinCloses(name)
		return
	}
	// Some of the libraries start goroutines when they are imported.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
