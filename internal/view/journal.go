package view

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/ownfile"
)

// Journal is a [Ring] whose content outlives the process: every request is written to a
// file before the ring takes it. It implements [otlpreceiver.Sink]; its methods are
// safe for concurrent use.
//
// A request is one record and is handed to the operating system in one write. A process
// that is killed therefore loses no request that it has answered. After a power
// failure, records that the system had not yet written are missing. When the file is
// opened, it is cut off before the first record that is not whole.
//
// The file holds at most half as many bytes as the ring. When it is full, it is renamed
// to end in ".old", replacing the previous file of that name, and a new file is begun.
// Both files together hold more spans than the ring, because spans take several times
// as much memory as they take on the wire.
type Journal struct {
	*Ring
	path   string
	failed func(error)

	lock *os.File // nil where the system has no locks

	mu   sync.Mutex
	file *os.File // nil once it failed or was closed
	size int64
}

// A file begins with the mark. A record is
//
//	kind | length of the body, 32 bits | crc32c of the body | body
//
// Numbers are little endian; the body is an OTLP request in binary protobuf.
const (
	journalMark = "clew view 1\n"
	recordHead  = 1 + 4 + 4
	maxRecord   = 2 * otlpreceiver.MaxBody

	kindTraces = 't'
	kindLogs   = 'l'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenJournal adds the content of the file at path to the ring, and from then on writes
// to the file what the ring receives. It creates the file if there is none; only its
// owner can read it. damaged is the number of bytes that were cut off at its end.
//
// The file belongs to one process at a time. While another process has it, the error
// names that process. The lock is a separate file, since the file itself is renamed.
//
// failed is called once, by any goroutine, if the file can no longer be written. The
// ring then goes on in memory only.
func OpenJournal(ring *Ring, path string, failed func(error)) (j *Journal, damaged int64, err error) {
	lock, err := ownfile.Lock(path + ".lock")
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		if held, ok := errors.AsType[*ownfile.HeldError](err); ok {
			return nil, 0, fmt.Errorf("%s is in use by process %s; choose another file", path, held.Process)
		}
		return nil, 0, err
	}
	defer func() {
		if err != nil && lock != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	j = &Journal{Ring: ring, path: path, failed: failed, lock: lock}
	if _, _, err = j.load(path+oldSuffix, os.O_RDONLY); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	file, damaged, err := j.load(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, 0, err
	}
	j.file = file
	return j, damaged, nil
}

const oldSuffix = ".old" // at the end of the path of the renamed file

// load adds the content of a file to the ring. A file that can be written stays open,
// positioned at its end, and j.size is its size.
func (j *Journal) load(path string, flags int) (file *os.File, damaged int64, err error) {
	if file, err = os.OpenFile(path, flags, 0o600); err != nil {
		return nil, 0, err
	}
	writable := flags&os.O_RDWR != 0
	defer func() {
		if !writable || err != nil {
			file.Close() //nolint:errcheck // it was only read, or err says more
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	in := bufio.NewReaderSize(file, 1<<20)
	mark := make([]byte, min(info.Size(), int64(len(journalMark))))
	if _, err := io.ReadFull(in, mark); err != nil || string(mark) != journalMark[:len(mark)] || !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a file of clew view", path)
	}
	good := j.replay(in) + int64(len(journalMark))
	if len(mark) < len(journalMark) {
		good = 0 // an empty file, or one without a whole mark
	}
	if !writable {
		return nil, info.Size() - good, nil
	}
	damaged = info.Size() - good
	if err := file.Truncate(good); err != nil {
		return nil, 0, err
	}
	if _, err := file.Seek(good, io.SeekStart); err != nil {
		return nil, 0, err
	}
	if good == 0 {
		if _, err := io.WriteString(file, journalMark); err != nil {
			return nil, 0, err
		}
		good = int64(len(journalMark))
	}
	j.size = good
	return file, damaged, nil
}

// replay adds records to the ring up to the first one that is not whole, and returns
// the number of bytes before that one.
func (j *Journal) replay(in io.Reader) (good int64) {
	for {
		var head [recordHead]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return good
		}
		length := binary.LittleEndian.Uint32(head[1:])
		if length > maxRecord {
			return good
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil || crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[5:]) || !j.add(head[0], body) {
			return good
		}
		good += recordHead + int64(length)
	}
}

func (j *Journal) add(kind byte, body []byte) bool {
	switch kind {
	case kindTraces:
		var req tracepb.TracesData
		if proto.Unmarshal(body, &req) != nil {
			return false
		}
		j.Ring.AddTraces(&req)
	case kindLogs:
		var req logspb.LogsData
		if proto.Unmarshal(body, &req) != nil {
			return false
		}
		j.Ring.AddLogs(&req)
	default:
		return false
	}
	return true
}

// AddTraces implements [otlpreceiver.Sink].
func (j *Journal) AddTraces(req *tracepb.TracesData) {
	j.append(kindTraces, req)
	j.Ring.AddTraces(req)
}

// AddLogs implements [otlpreceiver.Sink].
func (j *Journal) AddLogs(req *logspb.LogsData) {
	j.append(kindLogs, req)
	j.Ring.AddLogs(req)
}

func (j *Journal) append(kind byte, req proto.Message) {
	size := proto.Size(req)
	if size == 0 || size > maxRecord {
		return
	}
	record, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(make([]byte, recordHead, recordHead+size), req)
	if err == nil {
		record[0] = kind
		binary.LittleEndian.PutUint32(record[1:], uint32(len(record)-recordHead)) //nolint:gosec // at most maxRecord
		binary.LittleEndian.PutUint32(record[5:], crc32.Checksum(record[recordHead:], castagnoli))
		err = j.write(record)
	}
	if err != nil {
		j.failed(err)
	}
}

// write writes a record. It returns an error at most once, because nothing is written
// after an error.
func (j *Journal) write(record []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.rotate(int64(len(record)))
	if err == nil {
		var n int
		n, err = j.file.Write(record)
		j.size += int64(n)
	}
	if err != nil {
		err = errors.Join(err, j.file.Close())
		j.file = nil
	}
	return err
}

// rotate begins a new file if the record would make this one too large.
func (j *Journal) rotate(record int64) error {
	if j.size+record <= j.limit/2 || j.size == int64(len(journalMark)) {
		return nil
	}
	if err := os.Rename(j.path, j.path+oldSuffix); err != nil {
		return err
	}
	next, err := os.OpenFile(j.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = j.file.Close()
	j.file, j.size = next, int64(len(journalMark))
	_, writeErr := io.WriteString(next, journalMark)
	return errors.Join(err, writeErr)
}

// Close closes the file. The ring can still be used.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	if j.file != nil {
		errs = append(errs, j.file.Sync(), j.file.Close())
		j.file = nil
	}
	if j.lock != nil {
		errs = append(errs, j.lock.Close())
		j.lock = nil
	}
	return errors.Join(errs...)
}
