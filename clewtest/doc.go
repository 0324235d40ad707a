// Package clewtest records the traces of one test, so that a test can say which
// spans the code under test is to make:
//
//	func TestOrder(t *testing.T) {
//		rec := clewtest.Record(t)
//		shop := NewShop(rec.TracerProvider())
//		shop.Order(t.Context(), 7)
//		rec.Want(`
//			GET /orders/{id}
//			  SELECT orders
//			  POST stock
//		`)
//	}
//
// Each recorder has an SDK of its own that keeps every span in memory. It
// changes nothing outside the test, so that tests run in parallel. It ends with
// the test.
//
// Code that uses the global tracer provider is recorded with [Global]. Tests may
// run in parallel even then, if the code under test is given [Recorder.Context]
// or a context made from it: the context says to which test a span belongs.
package clewtest
