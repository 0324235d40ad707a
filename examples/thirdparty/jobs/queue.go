package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/clewtrace/clew/propagator"
)

// job is what is stored. The trace context is text beside the other fields, so
// that any store will do, and any language can read it.
type job struct {
	URL      string           `json:"url"`
	Added    time.Time        `json:"added"`
	Attempts int              `json:"attempts,omitempty"`
	Trace    propagator.Saved `json:"trace"`
}

// queue keeps jobs in a file, in the order in which they were added. A change is
// on disk when the method returns.
type queue struct{ db *bbolt.DB }

var bucket = []byte("webhooks")

// openQueue waits a moment for another process that has the file open.
func openQueue(path string) (queue, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return queue{}, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	return queue{db}, err
}

func (q queue) add(j job) error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		id, err := tx.Bucket(bucket).NextSequence()
		if err != nil {
			return err
		}
		return put(tx, id, j)
	})
}

func (q queue) replace(id uint64, j job) error {
	return q.db.Update(func(tx *bbolt.Tx) error { return put(tx, id, j) })
}

func (q queue) remove(id uint64) error {
	return q.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete(key(id)) })
}

// next returns the first job behind the one with that id.
func (q queue) next(after uint64) (id uint64, j job, found bool, err error) {
	err = q.db.View(func(tx *bbolt.Tx) error {
		k, v := tx.Bucket(bucket).Cursor().Seek(key(after + 1))
		if k == nil {
			return nil
		}
		id, found = binary.BigEndian.Uint64(k), true
		return json.Unmarshal(v, &j)
	})
	return id, j, found, err
}

func put(tx *bbolt.Tx, id uint64, j job) error {
	value, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key(id), value)
}

// key sorts as the ids do.
func key(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }
