// Package spool keeps records on disk until they are removed, so that they
// outlive the process.
//
// A spool is a directory of segments. A segment begins with a format mark and
// eight random bytes; a record is
//
//	those eight bytes | state | crc32c | meta length | body length | meta | body
//
// in little endian, the checksum covering everything after itself. Removing a
// record overwrites its state; a segment in which nothing is left is deleted.
// A reader that meets a damaged record looks for the next one by the random
// bytes, which cannot occur in a body except by chance.
package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	formatMark  = "clewsp1\n"
	markerSize  = 8
	segmentHead = len(formatMark) + markerSize
	recordHead  = markerSize + 1 + 4 + 4 + 4
	segmentSize = 4 << 20 // a segment is closed when it has grown to this

	stateLive    = 0x00
	stateRemoved = 0xff
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrFull is returned by Append when the record would exceed the bound.
var ErrFull = errors.New("spool is full")

// Record is what was found on opening a spool.
type Record struct {
	Ref        Ref
	Meta, Body []byte
}

// Ref names a record. The zero Ref names none.
type Ref struct {
	seg    *segment
	offset int64
}

// IsZero reports whether the Ref names no record.
func (r Ref) IsZero() bool { return r.seg == nil }

type segment struct {
	path   string
	file   *os.File
	marker [markerSize]byte
	size   int64
	live   int
}

// Spool is an open spool. It is safe for concurrent use.
type Spool struct {
	dir  string
	max  int64
	sync bool

	mu       sync.Mutex
	closed   bool
	lock     *os.File // nil if it was lost with the directory
	segments []*segment
	active   *segment // the one written to; nil before the first Append
	next     uint64   // number of the next segment
}

// Open locks the directory, creating it if need be, and returns what was left
// in it, oldest first, with the number of damaged records and segments that
// were skipped. The segments together stay within maxBytes. With sync, Append
// returns when the record is on stable storage; without, it survives the
// process but not the machine.
func Open(dir string, maxBytes int64, sync bool) (s *Spool, left []Record, damaged int, err error) {
	s = &Spool{dir: dir, max: maxBytes, sync: sync}
	if err := s.claim(); err != nil {
		return nil, nil, 0, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return nil, nil, 0, errors.Join(err, s.lock.Close())
	}
	slices.Sort(paths) // the names are numbers of one length
	for _, path := range paths {
		var n uint64
		if _, err := fmt.Sscanf(filepath.Base(path), "%016x.seg", &n); err != nil {
			continue
		}
		s.next = max(s.next, n+1)
		records, bad := s.load(path)
		left = append(left, records...)
		damaged += bad
	}
	return s, left, damaged, nil
}

// load reads a segment of an earlier process.
func (s *Spool) load(path string) (records []Record, damaged int) {
	data, err := os.ReadFile(path) //nolint:gosec // in the directory that was configured
	if err != nil || len(data) < segmentHead || string(data[:len(formatMark)]) != formatMark {
		return nil, 1 // perhaps another version's: not ours to delete
	}
	seg := &segment{path: path, size: int64(len(data)), marker: [markerSize]byte(data[len(formatMark):segmentHead])}
	damaged = Scan(data, func(offset int, meta, body []byte) {
		// Copies, so that one record does not keep the whole segment in memory.
		records = append(records, Record{Ref: Ref{seg, int64(offset)}, Meta: bytes.Clone(meta), Body: bytes.Clone(body)})
	})
	if len(records) == 0 {
		_ = os.Remove(path)
		return nil, damaged
	}
	// Without write access the records are still delivered, but delivered again
	// by the next process.
	seg.file, _ = os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // as above
	seg.live = len(records)
	s.segments = append(s.segments, seg)
	return records, damaged
}

// Scan calls fn with each live record of a segment and returns the number of
// damaged places it skipped. It accepts any input.
func Scan(data []byte, fn func(offset int, meta, body []byte)) (damaged int) {
	if len(data) < segmentHead || string(data[:len(formatMark)]) != formatMark {
		return 1
	}
	marker := data[len(formatMark):segmentHead]
	at, inDamage := segmentHead, false
	for at < len(data) {
		meta, body, ok := parse(data[at:], marker)
		if ok {
			if data[at+markerSize] == stateLive {
				fn(at, meta, body)
			}
			at += recordHead + len(meta) + len(body)
			inDamage = false
			continue
		}
		if !inDamage {
			damaged++
			inDamage = true
		}
		skip := bytes.Index(data[at+1:], marker)
		if skip < 0 {
			break
		}
		at += 1 + skip
	}
	return damaged
}

// parse reads the record at the start of data.
func parse(data, marker []byte) (meta, body []byte, ok bool) {
	if len(data) < recordHead || !bytes.Equal(data[:markerSize], marker) {
		return nil, nil, false
	}
	sum := binary.LittleEndian.Uint32(data[markerSize+1:])
	metaLen := uint64(binary.LittleEndian.Uint32(data[markerSize+5:]))
	bodyLen := uint64(binary.LittleEndian.Uint32(data[markerSize+9:]))
	if metaLen+bodyLen > uint64(len(data)-recordHead) {
		return nil, nil, false
	}
	end := recordHead + int(metaLen+bodyLen) //nolint:gosec // at most len(data)
	if crc32.Checksum(data[markerSize+5:end], castagnoli) != sum {
		return nil, nil, false
	}
	split := recordHead + int(metaLen) //nolint:gosec // as above
	return data[recordHead:split:split], data[split:end:end], true
}

// Append stores a record.
func (s *Spool) Append(meta, body []byte) (Ref, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return Ref{}, err
	}
	n := int64(recordHead + len(meta) + len(body))
	if s.used()+n > s.max {
		return Ref{}, fmt.Errorf("%w: %s holds %d bytes of %d", ErrFull, s.dir, s.used(), s.max)
	}
	seg := s.active
	rec := make([]byte, recordHead, n)
	copy(rec, seg.marker[:])
	rec[markerSize] = stateLive
	binary.LittleEndian.PutUint32(rec[markerSize+5:], uint32(len(meta))) //nolint:gosec // far below
	binary.LittleEndian.PutUint32(rec[markerSize+9:], uint32(len(body))) //nolint:gosec // requests are bounded
	rec = append(append(rec, meta...), body...)
	binary.LittleEndian.PutUint32(rec[markerSize+1:], crc32.Checksum(rec[markerSize+5:], castagnoli))

	_, err := seg.file.WriteAt(rec, seg.size)
	if err == nil && s.sync {
		err = seg.file.Sync()
	}
	if err != nil {
		// Whatever part of it was written is overwritten by the next record.
		_ = seg.file.Truncate(seg.size)
		return Ref{}, err
	}
	ref := Ref{seg, seg.size}
	seg.size += n
	seg.live++
	return ref, nil
}

// writable makes sure that there is a segment to write to, and that it is still
// where the next process will look for it.
func (s *Spool) writable() error {
	if s.closed {
		return os.ErrClosed
	}
	if !sameFile(filepath.Join(s.dir, lockName), s.lock) {
		// The directory was removed. What was in it is lost to the next
		// process, but not to this one, which has it in memory.
		if s.lock != nil {
			_ = s.lock.Close()
			s.lock = nil
		}
		if err := s.claim(); err != nil {
			return err
		}
	}
	if a := s.active; a != nil && a.size < segmentSize && sameFile(a.path, a.file) {
		return nil
	}
	seg := &segment{path: filepath.Join(s.dir, fmt.Sprintf("%016x.seg", s.next)), size: int64(segmentHead)}
	if _, err := rand.Read(seg.marker[:]); err != nil {
		return err
	}
	f, err := os.OpenFile(seg.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append([]byte(formatMark), seg.marker[:]...))
	if err == nil && s.sync {
		err = syncDir(s.dir) // or the machine may forget that there is such a file
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(seg.path))
	}
	seg.file = f
	s.next++
	old := s.active
	s.active = seg
	s.segments = append(s.segments, seg)
	if old != nil {
		s.tidy(old)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the directory that was configured
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Holder returns a function that reports whether the next Open will find a
// record. It looks at each file once, for the records it is asked about now.
func (s *Spool) Holder() func(Ref) bool {
	found := make(map[*segment]bool)
	return func(ref Ref) bool {
		if ref.IsZero() {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		holds, known := found[ref.seg]
		if !known {
			holds = ref.seg.file == nil || sameFile(ref.seg.path, ref.seg.file)
			found[ref.seg] = holds
		}
		return holds
	}
}

// Remove marks records as done. It cannot fail: what cannot be marked is
// returned once more by the next Open.
func (s *Spool) Remove(ref Ref) {
	if ref.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := ref.seg
	if seg.live--; seg.live == 0 && seg != s.active {
		s.tidy(seg)
		return
	}
	if seg.file != nil {
		_, _ = seg.file.WriteAt([]byte{stateRemoved}, ref.offset+markerSize)
	}
	if seg.live == 0 && seg.size > min(segmentSize, s.max)/4 {
		// Nothing waits: do not let the segment grow to its full size.
		s.active = nil
		s.tidy(seg)
	}
}

// tidy deletes a segment that nothing is left in.
func (s *Spool) tidy(seg *segment) {
	if seg.live > 0 {
		return
	}
	if seg.file == nil {
		_ = os.Remove(seg.path)
	} else {
		if sameFile(seg.path, seg.file) { // or the directory is another process's now
			_ = seg.file.Truncate(int64(segmentHead)) // in case it cannot be deleted
			_ = os.Remove(seg.path)
		}
		_ = seg.file.Close()
	}
	s.segments = slices.DeleteFunc(s.segments, func(have *segment) bool { return have == seg })
}

func (s *Spool) used() int64 {
	var n int64
	for _, seg := range s.segments {
		n += seg.size
	}
	return n
}

// Close gives up the directory. Records that were not removed stay for the next
// Open.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.active = true, nil
	for _, seg := range slices.Clone(s.segments) {
		s.tidy(seg)
	}
	var errs []error
	for _, seg := range s.segments {
		if seg.file != nil {
			errs = append(errs, seg.file.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
