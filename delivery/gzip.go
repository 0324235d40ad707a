package delivery

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"sync"
)

// gzipLevel is as fast as level 1 and takes a third of the time of the default level.
// OTLP repeats its keys, so both compress it to about an eighth; this level leaves one
// percent more than the default (BenchmarkGzipLevels).
const gzipLevel = 2

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(io.Discard, gzipLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

var gzipReaders sync.Pool

// maxInflated bounds what one stored request may decompress to, so that a
// damaged or hostile spool cannot exhaust memory.
const maxInflated = 256 << 20

func deflate(body []byte) ([]byte, error) {
	zw, _ := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(zw)
	var out bytes.Buffer
	out.Grow(len(body)/8 + 64)
	zw.Reset(&out)
	if _, err := zw.Write(body); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(out.Bytes()), nil
}

func inflate(body []byte, sizeHint int) ([]byte, error) {
	zr, _ := gzipReaders.Get().(*gzip.Reader)
	if zr == nil {
		zr = new(gzip.Reader)
	}
	defer gzipReaders.Put(zr)
	if err := zr.Reset(bytes.NewReader(body)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(min(max(sizeHint, 512), maxInflated) + bytes.MinRead)
	n, err := io.Copy(&out, io.LimitReader(zr, maxInflated+1))
	if err != nil {
		return nil, err
	}
	if n > maxInflated {
		return nil, fmt.Errorf("gzip body inflates to more than %d bytes", maxInflated)
	}
	return out.Bytes(), nil
}
