package delivery

import "testing"

// TestWhatShutdownOvertakes on its way from the spool to the queue is kept, because the
// spool may be closed by then, and the next process finds it.
func TestWhatShutdownOvertakes(t *testing.T) {
	cfg := Config{SpoolDir: t.TempDir()}
	first, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := first.register(Traces, Route{})
	r := newRequest(d.via, []byte{}, 1)
	if err := first.store(Traces, r); err != nil {
		t.Fatal(err)
	}
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.enqueue(d, r, func() {}, new(news)); err != nil {
		t.Error(err)
	}
	if s := first.Stats(Traces); s.Accepted != 1 || s.Kept != 1 || s.DroppedTotal() != 0 {
		t.Errorf("%+v", s)
	}
	second, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s := second.Stats(Traces); s.Accepted != 1 {
		t.Errorf("the next process finds %d", s.Accepted)
	}
	_ = second.Shutdown(t.Context()) // nothing says where it is to go
}
