package delivery

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/clewtrace/clew/delivery/internal/spool"
	"github.com/clewtrace/clew/internal/redact"
)

// The spool keeps a protobuf message with each body, so that another version of this
// package can add fields. The message has neither the URL nor the headers: they may
// hold credentials, and the next process knows where its telemetry goes.
const (
	metaSignal      = 1
	metaItems       = 2
	metaContentType = 3
	metaPacked      = 4
	metaWireGzip    = 5
	metaRawSize     = 6
	metaAccepted    = 7 // nanoseconds since 1970
)

func (r *request) meta(s Signal) []byte {
	var b []byte
	number := func(field protowire.Number, v uint64) {
		b = protowire.AppendTag(b, field, protowire.VarintType)
		b = protowire.AppendVarint(b, v)
	}
	number(metaSignal, uint64(s))
	number(metaItems, uint64(r.items)) //nolint:gosec // a count
	b = protowire.AppendTag(b, metaContentType, protowire.BytesType)
	b = protowire.AppendString(b, r.contentType)
	number(metaPacked, protowire.EncodeBool(r.packed))
	number(metaWireGzip, protowire.EncodeBool(r.wireGzip))
	number(metaRawSize, uint64(r.rawSize))              //nolint:gosec // a size
	number(metaAccepted, uint64(r.accepted.UnixNano())) //nolint:gosec // after 1970
	return b
}

var errMeta = errors.New("description of a request is not readable")

// fromRecord is the reverse of meta. It skips fields that it does not know.
func fromRecord(rec spool.Record) (Signal, *request, error) {
	r := &request{body: rec.Body, ref: rec.Ref, recovered: true}
	signal := uint64(numSignals)
	for b := rec.Meta; len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, nil, errMeta
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return 0, nil, errMeta
		}
		if num == metaContentType && typ == protowire.BytesType {
			v, _ := protowire.ConsumeString(b)
			r.contentType = v
		}
		if typ == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(b)
			switch num {
			case metaSignal:
				signal = v
			case metaItems:
				r.items = int64(v) //nolint:gosec // a count
			case metaPacked:
				r.packed = protowire.DecodeBool(v)
			case metaWireGzip:
				r.wireGzip = protowire.DecodeBool(v)
			case metaRawSize:
				r.rawSize = int(min(v, maxInflated)) //nolint:gosec // bounded
			case metaAccepted:
				r.accepted = time.Unix(0, int64(v)) //nolint:gosec // a time
				if now := time.Now(); r.accepted.After(now) {
					r.accepted = now // the clock was set back
				}
			}
		}
		b = b[n:]
	}
	if signal >= numSignals || r.items < 0 {
		return 0, nil, errMeta
	}
	return Signal(signal), r, nil
}

// resume opens the spool and queues what an earlier process left in it. The destination
// of these requests is not known before the first request of the same signal.
func (t *Transport) resume() error {
	if t.cfg.SpoolDir == "" {
		return nil
	}
	sp, err := spool.Open(t.cfg.SpoolDir, spool.Options{MaxBytes: t.cfg.SpoolSize, MaxRecord: t.cfg.QueueSize, Sync: t.cfg.SpoolSync})
	if err != nil {
		return fmt.Errorf("delivery: Config.SpoolDir: %w", redact.Error(err))
	}
	t.spool = sp
	var unknown [numSignals]*destination
	unreadable, garbage := 0, int64(0)
	found, err := sp.Recover(func(rec spool.Record) {
		s, r, err := fromRecord(rec)
		if err != nil {
			unreadable++
			sp.Remove(rec.Ref)
			return
		}
		d := unknown[s]
		if d == nil {
			d = &destination{signal: s}
			unknown[s] = d
			t.dests = append(t.dests, d)
		}
		t.seq++
		r.seq, r.dest = t.seq, d
		d.waiting.insert(r)
		t.budget.add(s, r.size())
		t.accounts[s].accepted += r.items
		t.accounts[s].queued += r.items
		for _, lost := range t.makeRoom() { // so that memory holds no more than the queue may
			t.report.dropped(lost)
			garbage += r.size()
		}
		if garbage >= maxGarbage {
			runtime.GC() // it would not run before the heap has doubled
			garbage = 0
		}
	})
	if err != nil {
		return errors.Join(fmt.Errorf("delivery: Config.SpoolDir: %w", redact.Error(err)), sp.Close())
	}
	if n := found.Damaged + unreadable; n > 0 {
		t.report.warn("damaged", fmt.Errorf("delivery: %d damaged records in %s skipped", n, redact.Text(t.cfg.SpoolDir)))
	}
	if found.Unread > 0 {
		t.report.warn("unread", fmt.Errorf("delivery: %d files in %s stay for the next start: there was no time to read them", found.Unread, redact.Text(t.cfg.SpoolDir)))
	}
	if found.Shared {
		t.report.warn("shared", fmt.Errorf("delivery: others than this user can write to %s: give it mode 0700, or name a directory below it, which is made so", redact.Text(t.cfg.SpoolDir)))
	}
	return nil
}

// maxGarbage is how many bytes may be read from a spool and dropped, because the queue
// is full, before they are collected.
const maxGarbage = 8 << 20

// addToSpool writes a request to the spool, if there is one. A request that cannot be
// written is in memory only.
func (t *Transport) addToSpool(s Signal, r *request) {
	t.tell(news{unspooled: t.store(s, r)})
}

// store is addToSpool without telling anybody.
func (t *Transport) store(s Signal, r *request) error {
	if t.spool == nil {
		return nil
	}
	ref, err := t.spool.Append(r.meta(s), r.body)
	if err != nil {
		return fmt.Errorf("delivery: requests are kept in memory only: %w", redact.Error(err))
	}
	r.ref = ref
	return nil
}

// removeFromSpool removes a request from the spool.
func (t *Transport) removeFromSpool(r *request) {
	if t.spool != nil {
		t.spool.Remove(r.ref)
	}
	r.ref = spool.Ref{}
}

// inSpool returns a function that reports whether the next process will find a
// request; see [spool.Spool.Holder].
func (t *Transport) inSpool() func(spool.Ref) bool {
	if t.spool == nil {
		return func(spool.Ref) bool { return false }
	}
	return t.spool.Holder()
}
