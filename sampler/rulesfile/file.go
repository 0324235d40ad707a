package rulesfile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/sampler"
)

// The largest file that is read, in bytes.
const maxSize = 1 << 20

// A File is a [sampler.Composable] with the rules of a file. It is safe for
// concurrent use; every decision follows one complete set of rules.
type File struct {
	path       string
	rules      atomic.Pointer[sampler.Composable]
	seen       []byte // the text that was last read, valid or not
	unreadable bool   // the file could not be read the last time

	stop func()
	done chan struct{}
}

// Open reads the rules of the file at path and then checks every interval whether the
// file changed. Zero means 5 seconds. If the rules are wrong, Open returns an error. If
// they are wrong later, or the file cannot be read, that is reported once to the
// OpenTelemetry error handler, and the rules that were read before stay in force.
//
// The budgets of per_second rules start anew with each change of the file. Shutdown
// ends the goroutine that checks it.
func Open(path string, interval time.Duration) (*File, error) {
	if interval == 0 {
		interval = 5 * time.Second
	}
	if interval < 0 {
		return nil, fmt.Errorf("rulesfile: interval %v: want a positive duration, or 0 for 5s", interval)
	}
	f := &File{path: path, done: make(chan struct{})}
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("rulesfile: %w", err)
	}
	if err := f.apply(text); err != nil {
		return nil, err
	}
	stop := make(chan struct{})
	f.stop = sync.OnceFunc(func() { close(stop) })
	go f.watch(interval, stop)
	return f, nil
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err == nil && len(text) > maxSize {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxSize)
	}
	return text, err
}

func (f *File) apply(text []byte) error {
	f.seen = text
	rules, err := Parse(text)
	if err != nil {
		return fmt.Errorf("rulesfile: %s: %w", f.path, err)
	}
	composable := sampler.Rules(rules...)
	f.rules.Store(&composable)
	return nil
}

func (f *File) watch(interval time.Duration, stop <-chan struct{}) {
	defer close(f.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			f.reload()
		}
	}
}

// reload reads the file and applies its rules if its content changed. It compares
// contents and not times, because contents cannot miss a change and the file is small.
func (f *File) reload() {
	text, err := read(f.path)
	if err != nil {
		if !f.unreadable {
			otel.Handle(fmt.Errorf("rulesfile: %w; the rules read before stay in force", err))
		}
		f.unreadable = true
		return
	}
	f.unreadable = false
	if bytes.Equal(text, f.seen) {
		return
	}
	if err := f.apply(text); err != nil {
		otel.Handle(fmt.Errorf("%w; the rules read before stay in force", err))
	}
}

// SamplingIntent implements [sampler.Composable].
func (f *File) SamplingIntent(p sampler.Parameters) sampler.Intent {
	return (*f.rules.Load()).SamplingIntent(p)
}

// Description implements [sampler.Composable].
func (f *File) Description() string { return (*f.rules.Load()).Description() }

// Shutdown ends the goroutine that checks the file, and waits for its end or for that
// of ctx. The last rules stay in force.
func (f *File) Shutdown(ctx context.Context) error {
	f.stop()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
