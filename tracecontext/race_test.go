//go:build race

package tracecontext_test

const raceEnabled = true
