package otlpreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Budget bounds the memory of all requests that are under way at the same
// time: their bodies, as they arrive, and what the bodies decode to. Its
// methods are safe for concurrent use.
type Budget struct {
	size int64

	mu    sync.Mutex
	taken int64
	freed chan struct{} // closed when something was given back
}

const (
	// DefaultBudget is the size of the budget that a [Receiver] makes for itself.
	DefaultBudget = 256 << 20
	// maxWait is how long a request waits for others to give back their part.
	// The sender is then told to come again, since two that wait for each other
	// would wait for ever.
	maxWait = 2 * time.Second
)

// ErrBusy says that other requests had the whole budget.
var ErrBusy = errors.New("too many requests at the same time")

// NewBudget returns a budget of a number of bytes.
func NewBudget(bytes int64) *Budget {
	return &Budget{size: bytes, freed: make(chan struct{})}
}

// Hold returns a part of the budget that is empty yet. The caller releases it.
func (b *Budget) Hold() *Hold { return &Hold{budget: b} }

// Hold is what one request has of a [Budget]. It is for one goroutine.
type Hold struct {
	budget *Budget
	bytes  int64
}

// Add takes n more bytes. It waits for a short time if other requests have
// them. The error is [ErrBusy] if they still do then, and another one if the
// whole budget is not enough.
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
	maxHint   = 16 << 10 // a length that is only announced is not believed beyond this
)

// readAll is io.ReadAll for at most MaxBody bytes, and takes memory only for
// what has arrived.
func (h *Hold) readAll(ctx context.Context, r io.Reader, hint int64) ([]byte, error) {
	size := int64(firstRead)
	if hint > 0 {
		size = min(hint+1, maxHint) // one more, to meet the end without growing
	}
	if err := h.Add(ctx, size); err != nil {
		return nil, err
	}
	b := make([]byte, 0, size)
	for {
		if len(b) == cap(b) {
			// What has arrived makes a part of what is announced believable.
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
