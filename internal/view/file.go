package view

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// Save writes all traces to a file, which only its owner can read, and replaces
// it in one step: whatever happens, the old or the new content is there.
//
// The file holds two OTLP requests for each trace, oldest first: one for its
// spans and one for its log records, each behind its length.
func (r *Ring) Save(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	err = r.write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return err
}

func (r *Ring) write(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, t := range slices.Backward(r.snapshot()) {
		traces, logs := t.requests()
		for _, msg := range []proto.Message{traces, logs} {
			if _, err := protodelim.MarshalTo(out, msg); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// Load adds the traces of a file that Save wrote. A file that does not exist is
// an empty one. After an error, what came before it has been added.
func (r *Ring) Load(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	in := bufio.NewReader(file)
	read := protodelim.UnmarshalOptions{MaxSize: r.limit}
	for {
		var traces coltrace.ExportTraceServiceRequest
		var logs collogs.ExportLogsServiceRequest
		err := read.UnmarshalFrom(in, &traces)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err == nil {
			err = read.UnmarshalFrom(in, &logs)
		}
		if err != nil {
			return fmt.Errorf("%s is damaged, or not a file of clew view: %w", path, err)
		}
		r.AddTraces(&traces)
		r.AddLogs(&logs)
	}
}
