package spool

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	piece   = 64 << 10 // bytes of a segment that are read at a time
	maxMeta = 64 << 10 // bytes; the meta part of a record is far smaller
)

// Scan calls fn with each live record of a segment of the given size, and returns the
// number of damaged places that it skipped. It accepts any input: it allocates memory
// only for live records that are whole and have at most maxRecord bytes, and it reads
// each byte of a damaged segment only a few times. It stops when fn returns false.
func Scan(data io.ReaderAt, size, maxRecord int64, fn func(offset int64, meta, body []byte) bool) (damaged int) {
	s := scanner{data: data, size: size, maxRecord: maxRecord, buffer: make([]byte, piece)}
	head := make([]byte, segmentHead)
	if _, err := data.ReadAt(head, 0); err != nil || string(head[:len(formatMark)]) != formatMark {
		return 1
	}
	copy(s.marker[:], head[len(formatMark):])
	at, inDamage := int64(segmentHead), false
	for at < size {
		rec, ok := s.record(at)
		if ok {
			if rec.live && !s.give(at, rec, fn) {
				return damaged
			}
			at += rec.size()
			inDamage = false
			continue
		}
		if !inDamage {
			damaged++
			inDamage = true
		}
		if at = s.find(at + 1); at < 0 {
			break
		}
	}
	return damaged
}

type scanner struct {
	data            io.ReaderAt
	size, maxRecord int64
	marker          [markerSize]byte
	buffer          []byte
	wasted          int64 // bytes whose checksum was wrong
}

// record describes a record that was found.
type record struct {
	live       bool
	meta, body int64 // lengths
}

func (r record) size() int64 { return recordHead + r.meta + r.body }

// record reads the record at an offset; ok reports whether it is whole.
func (s *scanner) record(at int64) (rec record, ok bool) {
	var head [recordHead]byte
	if _, err := s.data.ReadAt(head[:], at); err != nil || !bytes.Equal(head[:markerSize], s.marker[:]) {
		return rec, false
	}
	rec = record{
		live: head[markerSize] == stateLive,
		meta: int64(binary.LittleEndian.Uint32(head[markerSize+5:])), body: int64(binary.LittleEndian.Uint32(head[markerSize+9:])),
	}
	if rec.meta > maxMeta || rec.size() > s.size-at || s.wasted > s.size {
		return rec, false
	}
	sum := crc32.Update(0, castagnoli, head[markerSize+5:])
	for from, end := at+recordHead, at+rec.size(); from < end; {
		part := s.buffer[:min(piece, end-from)]
		if _, err := s.data.ReadAt(part, from); err != nil {
			return rec, false
		}
		sum = crc32.Update(sum, castagnoli, part)
		from += int64(len(part))
	}
	if sum != binary.LittleEndian.Uint32(head[markerSize+1:]) {
		s.wasted += rec.size()
		return rec, false
	}
	return rec, true
}

// give calls fn with a record that is whole. It skips one that is too large.
func (s *scanner) give(at int64, rec record, fn func(int64, []byte, []byte) bool) bool {
	if rec.size() > s.maxRecord {
		return true
	}
	b := make([]byte, rec.meta+rec.body)
	if _, err := s.data.ReadAt(b, at+recordHead); err != nil {
		return true
	}
	return fn(at, b[:rec.meta:rec.meta], b[rec.meta:])
}

// find returns the next offset at which the marker occurs, or -1.
func (s *scanner) find(at int64) int64 {
	for at < s.size {
		n, err := s.data.ReadAt(s.buffer[:min(piece, s.size-at)], at)
		if i := bytes.Index(s.buffer[:n], s.marker[:]); i >= 0 {
			return at + int64(i)
		}
		if err != nil || n < piece {
			return -1
		}
		at += int64(n) - markerSize + 1
	}
	return -1
}
