package clewhttp

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/clientspan"
	"github.com/clewtrace/clew/internal/redact"
)

// call is all that the Transport knows of one request, in one allocation. Types
// over it are the context of the request and the body of its response.
type call struct {
	transport      *transport
	previous, next *call // of the transport's list

	request *http.Request // the caller's
	sent    *http.Request // &copied
	copied  http.Request
	method  string // as knownMethod has it
	host    string
	port    int
	began   time.Time

	ctx       context.Context // with the span
	span      trace.Span      // nil if a filter left the request out
	recording bool
	returned  bool          // base did not panic
	body      io.ReadCloser // the response's
	ended     atomic.Bool
}

// Sent implements [clientspan.Mark].
func (c *call) Sent() *http.Request { return c.sent }

// Span implements [clientspan.Mark].
func (c *call) Span() trace.Span { return c.span }

// callContext is the context of a request on its way out, which knows that it
// has its span. It hides the exchange of the request that is being served: what
// is sent is another one, even if it is served in this process.
type callContext call

func (c *callContext) Deadline() (time.Time, bool) { return c.ctx.Deadline() }
func (c *callContext) Done() <-chan struct{}       { return c.ctx.Done() }
func (c *callContext) Err() error                  { return c.ctx.Err() }

func (c *callContext) Value(key any) any {
	switch key.(type) {
	case clientspan.Key:
		return (*call)(c)
	case exchangeKey:
		return nil
	}
	return c.ctx.Value(key)
}

// watchBody ends the call when the body of its response ends, and at once if
// there is none.
func (c *call) watchBody(resp *http.Response, err error) {
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		c.end()
		return
	}
	c.body = resp.Body
	_, writes := c.body.(io.Writer)
	_, closesWrite := c.body.(interface{ CloseWrite() error })
	switch {
	case writes && closesWrite: // of an upgrade
		resp.Body = (*halfCloseBody)(c)
	case writes:
		resp.Body = (*duplexBody)(c)
	default:
		resp.Body = (*responseBody)(c)
	}
}

// end ends the span, and lets go of the request.
func (c *call) end() {
	if !c.ended.CompareAndSwap(false, true) {
		return
	}
	if c.span != nil {
		c.span.End()
	}
	c.transport.remove(c)
}

// unwound ends the call if base panics. The panic goes on.
func (c *call) unwound() {
	if c.returned {
		return
	}
	if c.recording {
		setFailure(c.span, panicError, panicError)
	}
	c.end()
}

func (c *call) read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if err != nil {
		c.bodyEnded(err)
	}
	return n, err
}

func (c *call) write(p []byte) (int, error) {
	n, err := c.body.(io.Writer).Write(p)
	if err != nil {
		c.bodyEnded(err)
	}
	return n, err
}

func (c *call) bodyEnded(err error) {
	if err != io.EOF && c.recording && !c.ended.Load() { //nolint:errorlint // bodies return io.EOF itself
		setFailure(c.span, errorType(err), redact.Text(err.Error()))
	}
	c.end()
}

func (c *call) close() error {
	c.end()
	return c.body.Close()
}

// responseBody has the methods of an ordinary body.
type responseBody call

func (b *responseBody) Read(p []byte) (int, error) { return (*call)(b).read(p) }
func (b *responseBody) Close() error               { return (*call)(b).close() }

// duplexBody has those of a connection after an upgrade.
type duplexBody call

func (b *duplexBody) Read(p []byte) (int, error)  { return (*call)(b).read(p) }
func (b *duplexBody) Write(p []byte) (int, error) { return (*call)(b).write(p) }
func (b *duplexBody) Close() error                { return (*call)(b).close() }

// halfCloseBody can close one direction too.
type halfCloseBody call

func (b *halfCloseBody) Read(p []byte) (int, error)  { return (*call)(b).read(p) }
func (b *halfCloseBody) Write(p []byte) (int, error) { return (*call)(b).write(p) }
func (b *halfCloseBody) Close() error                { return (*call)(b).close() }
func (b *halfCloseBody) CloseWrite() error {
	return b.body.(interface{ CloseWrite() error }).CloseWrite()
}
