//go:build !race

package slog_test

import (
	"context"
	"log"
	"log/slog"
	"testing"

	early "github.com/clewtrace/clew/internal/slog"
)

var packageLogger = slog.With("k", "v")

// TestARecordCostsNoMore counts allocations, as slog's own default handler has
// them.
func TestARecordCostsNoMore(t *testing.T) {
	writer := log.Writer()
	defer log.SetOutput(writer)
	log.SetOutput(&discard{})
	own, ok := early.Own(packageLogger.Handler())
	if !ok || own == packageLogger.Handler() {
		t.Fatal("the handler of a logger of a package is not the one that is tested")
	}
	plain := slog.New(own)
	for name, do := range map[string]func(*slog.Logger){
		"no attributes": func(l *slog.Logger) { l.Info("m") },
		"attributes":    func(l *slog.Logger) { l.LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Int("a", 1)) },
		"disabled":      func(l *slog.Logger) { l.Debug("m") },
	} {
		with := testing.AllocsPerRun(100, func() { do(packageLogger) })
		if without := testing.AllocsPerRun(100, func() { do(plain) }); with > without {
			t.Errorf("%s: %v allocations, slog's own handler has %v", name, with, without)
		}
	}
}

// discard is a writer that package log does not know.
type discard struct{ _ int }

func (*discard) Write(p []byte) (int, error) { return len(p), nil }
