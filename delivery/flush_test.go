package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// network answers by the host of the URL.
type network map[string]func(*http.Request) (*http.Response, error)

func (n network) RoundTrip(req *http.Request) (*http.Response, error) { return n[req.URL.Host](req) }

// TestShutdownGivesUpWhereNothingListens: after RefusedTimeout and an attempt then, unless
// something else is worth waiting for.
func TestShutdownGivesUpWhereNothingListens(t *testing.T) {
	refused := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	noSuchHost := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "collector", IsNotFound: true}}
	}
	resolverDown := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "collector", IsTemporary: true}}
	}
	silence := func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	unavailable := func(*http.Request) (*http.Response, error) { return answer(http.StatusServiceUnavailable) }
	for _, tc := range []struct {
		rule   string
		hosts  network
		before time.Duration // of the outage before Shutdown
		cfg    delivery.Config
		want   time.Duration
	}{
		{"refused", network{"a": refused}, 0, delivery.Config{}, time.Second},
		{"refused for an hour", network{"a": refused}, time.Hour, delivery.Config{}, time.Second},
		{"refused everywhere", network{"a": refused, "b": refused}, time.Minute, delivery.Config{}, time.Second},
		{"no such host", network{"a": noSuchHost}, 0, delivery.Config{}, time.Second},
		{"a longer patience", network{"a": refused}, 0, delivery.Config{RefusedTimeout: 3 * time.Second}, 3 * time.Second},
		{"more patience than time", network{"a": refused}, 0, delivery.Config{RefusedTimeout: time.Minute}, 10 * time.Second},
		{"silence", network{"a": silence}, 0, delivery.Config{}, 10 * time.Second},
		{"silence elsewhere", network{"a": refused, "b": silence}, 0, delivery.Config{}, 10 * time.Second},
		{"503", network{"a": unavailable}, 0, delivery.Config{}, 10 * time.Second},
		{"the resolver is down", network{"a": resolverDown}, 0, delivery.Config{}, 10 * time.Second},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				first := tc.hosts["a"]
				tc.hosts["a"] = func(req *http.Request) (*http.Response, error) { attempts++; return first(req) }
				tc.cfg.Base, tc.cfg.ErrorHandler, tc.cfg.Senders = tc.hosts, new(handled), 1
				tr := newTransport(t, tc.cfg)
				for host := range tc.hosts {
					post(t, tr, delivery.Traces, "http://"+host, traceRequest("x", "y"))
				}
				time.Sleep(tc.before)
				synctest.Wait()
				attempts = 0
				start := time.Now()
				err := tr.Shutdown(context.Background())
				var left *delivery.UndeliveredError
				if took := time.Since(start); took != tc.want || !errors.As(err, &left) {
					t.Errorf("Shutdown took %v: %v; want %v and an error", took, err, tc.want)
				}
				if tc.want <= time.Second && attempts < 2 {
					t.Errorf("%d attempts", attempts)
				}
			})
		})
	}
}

func TestShutdownDeliversWhenTheServerStartsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		tr := newTransport(t, delivery.Config{ErrorHandler: new(handled), Base: network{"a": func(*http.Request) (*http.Response, error) {
			if time.Since(start) < time.Minute+999*time.Millisecond {
				return nil, syscall.ECONNREFUSED
			}
			return answer(http.StatusOK)
		}}})
		post(t, tr, delivery.Traces, "http://a", traceRequest("x", "y"))
		time.Sleep(time.Minute)
		if err := tr.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestForceFlushWaitsThoughNothingListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTransport(t, delivery.Config{ErrorHandler: new(handled), Base: network{"a": func(*http.Request) (*http.Response, error) {
			return nil, syscall.ECONNREFUSED
		}}})
		post(t, tr, delivery.Traces, "http://a", traceRequest("x"))
		start := time.Now()
		if err := tr.ForceFlush(context.Background()); err == nil || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// BenchmarkForceFlush delivers many small requests that wait. The time for each must not
// grow with their number.
func BenchmarkForceFlush(b *testing.B) {
	for _, n := range []int{10_000, 20_000, 80_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				open := make(chan struct{})
				tr, err := delivery.New(delivery.Config{QueueSize: 256 << 20, ErrorHandler: new(handled), Base: network{"a": func(*http.Request) (*http.Response, error) {
					<-open
					return answer(http.StatusOK)
				}}})
				if err != nil {
					b.Fatal(err)
				}
				client, body := tr.Client(delivery.Traces), traceRequest("x")
				for range n {
					postQuietly(b, client, body)
				}
				b.StartTimer()
				close(open)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
				if err := tr.ForceFlush(ctx); err != nil {
					b.Fatal(err)
				}
				cancel()
				b.StopTimer()
				if err := tr.Shutdown(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/request")
		})
	}
}

func postQuietly(tb testing.TB, client *http.Client, body []byte) {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://a/v1/traces", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	_ = resp.Body.Close()
}
