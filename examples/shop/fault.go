package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	faultPath     = "/fault"
	faultVariable = "SHOP_FAULT"
)

// fault is what goes wrong in a service: a share of its work fails, a share of
// it takes longer. The variable SHOP_FAULT sets it at the start, PUT /fault
// later, and GET /fault shows it.
type fault struct {
	errors, slow float64 // shares of the work, 0 to 1
	delay        time.Duration
}

// parseFault reads "errors=0.02,slow=0.05,delay=800ms". What is left out is 0,
// except for the delay, which is a second.
func parseFault(text string) (fault, error) {
	f := fault{delay: time.Second}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		var err error
		switch key {
		case "":
		case "errors":
			f.errors, err = parseShare(value)
		case "slow":
			f.slow, err = parseShare(value)
		case "delay":
			f.delay, err = time.ParseDuration(value)
		default:
			err = errors.New("must be errors, slow or delay")
		}
		if err != nil {
			return fault{}, fmt.Errorf("fault %q: %s: %w", text, pair, err)
		}
	}
	return f, nil
}

func parseShare(value string) (float64, error) {
	share, err := strconv.ParseFloat(value, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, errors.New("must be a share, from 0 to 1")
	}
	return share, nil
}

func (f fault) String() string {
	return fmt.Sprintf("errors=%v,slow=%v,delay=%v", f.errors, f.slow, f.delay)
}

// faultSwitch can be set while requests are served.
type faultSwitch struct{ current atomic.Pointer[fault] }

func newFaultSwitch() (*faultSwitch, error) {
	f, err := parseFault(os.Getenv(faultVariable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", faultVariable, err)
	}
	s := &faultSwitch{}
	s.current.Store(&f)
	return s, nil
}

// strike makes a piece of work slow or makes it fail, as often as the fault says.
// The error of work that fails has the text failure.
func (s *faultSwitch) strike(ctx context.Context, failure string) error {
	f := s.current.Load()
	if rand.Float64() < f.slow {
		if err := pause(ctx, f.delay); err != nil {
			return err
		}
	}
	if rand.Float64() < f.errors {
		return errors.New(failure)
	}
	return nil
}

func (s *faultSwitch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f, err := parseFault(string(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.current.Store(&f)
	}
	fmt.Fprintln(w, s.current.Load())
}

// work takes about the typical time, sometimes more and sometimes less.
func work(ctx context.Context, typical time.Duration) error {
	return pause(ctx, time.Duration(float64(typical)*(0.5+rand.ExpFloat64()/2)))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
