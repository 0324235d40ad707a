//go:build race

package samplertest_test

const raceEnabled = true
