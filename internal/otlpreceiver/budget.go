package otlpreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Budget bounds the memory of all requests that are handled at the same time: their
// bodies as they arrive, and what the bodies are decoded to. Its methods are safe for
// concurrent use.
type Budget struct {
	size int64

	mu    sync.Mutex
	taken int64
	freed chan struct{} // closed when bytes are returned
}

const (
	// DefaultBudget is the size of the budget that a [Receiver] makes for itself.
	DefaultBudget = 256 << 20
	// maxWait is how long a request waits for others to return their memory. After that
	// its sender is asked to try again, since two requests that wait for each other
	// would wait forever.
	maxWait = 2 * time.Second
)

// ErrBusy says that other requests have taken the whole budget.
var ErrBusy = errors.New("too many requests at the same time")

// NewBudget returns a budget of a number of bytes.
func NewBudget(bytes int64) *Budget {
	return &Budget{size: bytes, freed: make(chan struct{})}
}

// Hold returns a Hold without any bytes. The caller releases it.
func (b *Budget) Hold() *Hold { return &Hold{budget: b} }

// Hold is the part of a [Budget] that one request has taken. It is for use by one
// goroutine.
type Hold struct {
	budget *Budget
	bytes  int64
}

// Add takes n more bytes. It waits for a short time if other requests have them. The
// error is [ErrBusy] if they still have them then, and another error if the whole
// budget would not be enough.
func (h *Hold) Add(ctx context.Context, n int64) error {
	b := h.budget
	if h.bytes+n > b.size {
		return fmt.Errorf("%w: it takes more than %d bytes of memory", errTooLarge, b.size)
	}
	var expired <-chan time.Time
	for {
		b.mu.Lock()
		if b.taken+n <= b.size {
			b.taken += n
			h.bytes += n
			b.mu.Unlock()
			return nil
		}
		freed := b.freed
		b.mu.Unlock()
		if expired == nil {
			timer := time.NewTimer(maxWait)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-freed:
		case <-expired:
			return ErrBusy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// giveBack returns n bytes to the budget.
func (h *Hold) giveBack(n int64) {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	h.bytes -= n
	b.taken -= n
	close(b.freed)
	b.freed = make(chan struct{})
}

// Release returns everything to the budget.
func (h *Hold) Release() {
	if h.bytes > 0 {
		h.giveBack(h.bytes)
	}
}

const (
	firstRead = 512      // bytes, if the length is not known
	maxHint   = 16 << 10 // the largest size that is allocated for an announced length alone
)

// readAll is io.ReadAll for at most MaxBody bytes. It takes memory only in proportion
// to what has arrived.
func (h *Hold) readAll(ctx context.Context, r io.Reader, hint int64) ([]byte, error) {
	size := int64(firstRead)
	if hint > 0 {
		size = min(hint+1, maxHint) // one more byte, so that the end is seen without growing
	}
	if err := h.Add(ctx, size); err != nil {
		return nil, err
	}
	b := make([]byte, 0, size)
	for {
		if len(b) == cap(b) {
			// The more has arrived, the more of the announced length is allocated.
			grown := min(max(2*int64(cap(b)), min(hint+1, 4*int64(cap(b)))), MaxBody+1)
			if int64(cap(b)) == grown {
				return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, MaxBody)
			}
			if err := h.Add(ctx, grown); err != nil {
				return nil, err
			}
			old := int64(cap(b))
			b = append(make([]byte, 0, grown), b...)
			h.giveBack(old)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			if len(b) > MaxBody {
				return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, MaxBody)
			}
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
