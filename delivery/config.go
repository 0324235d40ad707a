package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Environment variables that programs may read a [Config] from. This package
// does not read them itself. Sizes are in bytes.
const (
	EnvQueueSize = "CLEW_DELIVERY_QUEUE_SIZE" // Config.QueueSize
	EnvSpoolDir  = "CLEW_DELIVERY_SPOOL_DIR"  // Config.SpoolDir
	EnvSpoolSize = "CLEW_DELIVERY_SPOOL_SIZE" // Config.SpoolSize
	EnvSpoolSync = "CLEW_DELIVERY_SPOOL_SYNC" // Config.SpoolSync: true or false
	EnvJournal   = "CLEW_DELIVERY_JOURNAL"    // Config.Journal: true or false

	EnvRefusedTimeout = "CLEW_DELIVERY_REFUSED_TIMEOUT" // Config.RefusedTimeout, in milliseconds
)

// Config configures a [Transport]. The zero value is ready to use: it keeps up to 64
// MiB in memory and nothing on disk.
type Config struct {
	// Base makes the requests of each [Route] that has no Base of its own. It must honour
	// the context of a request, and must not be traced itself. Nil means what [NewBase]
	// returns.
	Base http.RoundTripper

	// QueueSize bounds the bytes in memory of the three signals together: of what
	// processors collect, what waits and what is being sent. What has to wait is
	// compressed, so the queue holds about ten times as much uncompressed OTLP. When it
	// is full, the oldest request is dropped. Zero means 64 MiB; the minimum is 64 KiB.
	QueueSize int64

	// SignalFloor is the part of QueueSize that is reserved for each signal, so that a
	// flood of one signal cannot displace the others. Zero means an eighth of QueueSize;
	// more than a third is an error.
	SignalFloor int64

	// Senders is the number of requests sent at the same time to one URL. Zero
	// means 4.
	Senders int

	// Timeout limits one attempt, from the connection to the end of the answer, of each
	// [Route] that has no Timeout of its own. It also limits ForceFlush and Shutdown when
	// their context has no deadline. Zero means 10 s, the default of
	// OTEL_EXPORTER_OTLP_TIMEOUT.
	Timeout time.Duration

	// MinBackoff and MaxBackoff limit the pause between attempts while a URL
	// cannot be reached. The pause doubles from one to the other, with jitter,
	// unless the server says otherwise with Retry-After. Zero means 100 ms and
	// 5 s.
	MinBackoff, MaxBackoff time.Duration

	// Linger makes requests smaller than 128 KiB wait this long, so that one request can
	// carry several of a signal. It is meant for exporters that are called once per
	// span. Zero means that each request is sent at once and on its own, unless there is
	// a Journal.
	Linger time.Duration

	// SpoolDir is a directory that holds a copy of each request in the queue until it is
	// delivered, so that the next process can deliver what this one could not. It is
	// created if it does not exist, and only one process can use it at a time. What an
	// earlier process left is sent to where this one sends the same signal, once that is
	// known: from the [Route] of a processor or an exporter, or from the first request of
	// a [Transport.Client]. Empty means no spool.
	SpoolDir string

	// SpoolSize bounds the files of the spool in bytes. When it is reached, further
	// requests are in memory only. Zero means four times QueueSize; the minimum is 8
	// MiB.
	SpoolSize int64

	// SpoolSync makes each request wait until it is on stable storage. Without
	// it, the spool survives the end of the process, but not of the machine.
	SpoolSync bool

	// Journal puts each span and each log record into the spool before the end of the
	// span, or the call that emits the record, returns. Each is a request of its own, so
	// the zero Linger means 1 s then. It needs SpoolDir.
	Journal bool

	// Resource is exported in place of the resource that spans, metrics and log records
	// come with. Nil means that one. It has no effect on the requests of
	// [Transport.Client].
	Resource *resource.Resource

	// RefusedTimeout is how long after its beginning Shutdown gives up if the connection
	// is refused then, or if the name of the host does not exist.
	// Zero means 1 s.
	RefusedTimeout time.Duration

	// ErrorHandler is called for everything that is lost, and when a URL cannot be
	// reached: at the first occurrence, and then once a minute with the sum. Nil means
	// otel.Handle.
	ErrorHandler otel.ErrorHandler
}

// What a zero means in [Config], and the least that is accepted, in bytes.
const (
	DefaultQueueSize = 64 << 20
	MinQueueSize     = 64 << 10
	MinSpoolSize     = 8 << 20
)

const (
	defaultSenders    = 4
	defaultTimeout    = 10 * time.Second
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = 5 * time.Second

	defaultRefusedTimeout = time.Second
	journalLinger         = time.Second
)

// withDefaults replaces zero values by their defaults. The error lists all values that
// cannot be used.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	reject := func(format string, args ...any) { errs = append(errs, fmt.Errorf("delivery: Config."+format, args...)) }

	if c.QueueSize == 0 {
		c.QueueSize = DefaultQueueSize
	}
	if c.QueueSize < MinQueueSize {
		reject("QueueSize is %d: must be 0 or at least %d bytes", c.QueueSize, MinQueueSize)
	}
	if c.SignalFloor == 0 {
		c.SignalFloor = c.QueueSize / 8
	}
	if c.SignalFloor < 0 || c.SignalFloor > c.QueueSize/numSignals {
		reject("SignalFloor is %d: must be between 0 and a third of QueueSize, %d", c.SignalFloor, c.QueueSize/numSignals)
	}
	if c.Senders == 0 {
		c.Senders = defaultSenders
	}
	if c.Senders < 0 {
		reject("Senders is %d: must not be negative", c.Senders)
	}
	if c.SpoolSize == 0 {
		c.SpoolSize = max(4*c.QueueSize, MinSpoolSize)
	}
	if c.SpoolSize < MinSpoolSize {
		reject("SpoolSize is %d: must be 0 or at least %d bytes", c.SpoolSize, MinSpoolSize)
	}
	linger := time.Duration(0)
	if c.Journal {
		linger = journalLinger
	}
	if c.Journal && c.SpoolDir == "" {
		reject("Journal needs Config.SpoolDir")
	}
	for _, d := range []struct {
		name  string
		field *time.Duration
		zero  time.Duration
	}{
		{"Timeout", &c.Timeout, defaultTimeout},
		{"MinBackoff", &c.MinBackoff, defaultMinBackoff},
		{"MaxBackoff", &c.MaxBackoff, defaultMaxBackoff},
		{"Linger", &c.Linger, linger},
		{"RefusedTimeout", &c.RefusedTimeout, defaultRefusedTimeout},
	} {
		if *d.field == 0 {
			*d.field = d.zero
		}
		if *d.field < 0 {
			reject("%s is %v: must not be negative", d.name, *d.field)
		}
	}
	if c.MinBackoff > c.MaxBackoff {
		reject("MinBackoff is %v: must not exceed MaxBackoff, %v", c.MinBackoff, c.MaxBackoff)
	}
	if c.ErrorHandler == nil {
		c.ErrorHandler = otel.ErrorHandlerFunc(otel.Handle)
	}
	return c, errors.Join(errs...)
}
