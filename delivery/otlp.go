package delivery

import (
	"encoding/json"
	"mime"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/clewtrace/clew/internal/otlp"
)

// The three export requests have the same shape (opentelemetry/proto/collector):
//
//	request  { repeated Resource… = 1 }
//	Resource…{ resource = 1; repeated Scope… = 2; schema_url = 3 }
//	Scope…   { scope = 1; repeated item = 2; schema_url = 3 }
//
// An item is a span, a metric or a log record. Counting and dividing need only this
// shape, so no message is decoded.
const (
	fieldResource = 1
	fieldScope    = 2
	fieldItem     = 2
)

const (
	contentTypeProtobuf = "application/x-protobuf"
	contentTypeJSON     = "application/json"
)

// isProtobuf reports whether a content type is that of the binary encoding, whose
// messages can be joined and divided.
func isProtobuf(contentType string) bool {
	return mediaType(contentType) == contentTypeProtobuf
}

func mediaType(contentType string) string {
	if contentType == contentTypeProtobuf || contentType == contentTypeJSON {
		return contentType
	}
	mt, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return contentType
	}
	return mt
}

// countItems returns the number of spans, data points or log records in an encoded
// request. Parts that it cannot read count as nothing, because the number is only used
// for counts, never for a decision.
func countItems(s Signal, contentType string, body []byte) int64 {
	if mediaType(contentType) == contentTypeJSON {
		return countJSON(s, body)
	}
	var n int64
	eachMessage(body, fieldResource, func(resource []byte) {
		eachMessage(resource, fieldScope, func(scope []byte) {
			eachMessage(scope, fieldItem, func(item []byte) {
				if s == Metrics {
					n += countPoints(item)
				} else {
					n++
				}
			})
		})
	})
	return n
}

// countPoints counts the data points of one Metric, whose oneof holds a
// gauge (5), sum (7), histogram (9), exponential histogram (10) or summary
// (11), each with its points in field 1.
func countPoints(metric []byte) int64 {
	var n int64
	for _, kind := range [...]protowire.Number{5, 7, 9, 10, 11} {
		eachMessage(metric, kind, func(data []byte) {
			eachMessage(data, 1, func([]byte) { n++ })
		})
	}
	return n
}

// eachMessage calls fn with every length-delimited field num of msg, and stops
// at the first byte that is not protobuf.
func eachMessage(msg []byte, num protowire.Number, fn func([]byte)) {
	for len(msg) > 0 {
		got, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return
		}
		msg = msg[n:]
		if got == num && typ == protowire.BytesType {
			v, n := protowire.ConsumeBytes(msg)
			if n < 0 {
				return
			}
			fn(v)
			msg = msg[n:]
			continue
		}
		n = protowire.ConsumeFieldValue(got, typ, msg)
		if n < 0 {
			return
		}
		msg = msg[n:]
	}
}

// splitRequest divides a protobuf request into two that together hold the same
// items under the same resources and scopes. It reports false if there are
// fewer than two items to divide.
func splitRequest(body []byte) (a, b []byte, ok bool) {
	var total int
	eachMessage(body, fieldResource, func(resource []byte) {
		eachMessage(resource, fieldScope, func(scope []byte) {
			eachMessage(scope, fieldItem, func([]byte) { total++ })
		})
	})
	if total < 2 {
		return nil, nil, false
	}
	// Each half is a copy without the items of the other half.
	return keepItems(body, 0, total/2), keepItems(body, total/2, total), true
}

// keepItems copies the request with the items whose numbers are at least from and less
// than to.
func keepItems(body []byte, from, to int) []byte {
	next := 0
	rewriteScope := func(scope []byte) []byte {
		kept := 0
		out := rewrite(scope, fieldItem, func(item []byte) []byte {
			i := next
			next++
			if i < from || i >= to {
				return nil
			}
			kept++
			return item
		})
		if kept == 0 {
			return nil
		}
		return out
	}
	return rewrite(body, fieldResource, func(resource []byte) []byte {
		kept := 0
		out := rewrite(resource, fieldScope, func(scope []byte) []byte {
			s := rewriteScope(scope)
			if s != nil {
				kept++
			}
			return s
		})
		if kept == 0 {
			return nil
		}
		return out
	})
}

// rewrite copies msg, replacing each length-delimited field num by what fn
// returns for it, and dropping it where fn returns nil.
func rewrite(msg []byte, num protowire.Number, fn func([]byte) []byte) []byte {
	out := []byte{}
	for len(msg) > 0 {
		got, typ, tag := protowire.ConsumeTag(msg)
		if tag < 0 {
			return out
		}
		n := protowire.ConsumeFieldValue(got, typ, msg[tag:])
		if n < 0 {
			return out
		}
		if got != num || typ != protowire.BytesType {
			out = append(out, msg[:tag+n]...)
		} else if v, _ := protowire.ConsumeBytes(msg[tag:]); v != nil {
			if v = fn(v); v != nil {
				out = protowire.AppendTag(out, num, protowire.BytesType)
				out = protowire.AppendBytes(out, v)
			}
		}
		msg = msg[tag+n:]
	}
	return out
}

// partialSuccess reads the body of a 2xx answer, as far as it can be read.
func partialSuccess(contentType string, body []byte) otlp.Answer {
	var a otlp.Answer
	switch {
	case len(body) == 0:
	case mediaType(contentType) == contentTypeJSON:
		a, _ = otlp.DecodeAnswerJSON(body) //nolint:errcheck // the request was taken, whatever else is said
	case isProtobuf(contentType):
		a, _ = otlp.DecodeAnswer(body) //nolint:errcheck // the same
	}
	return a
}

// jsonRequest has the fields of the three requests in the JSON encoding. A request has
// only those of its own signal.
type jsonRequest struct {
	ResourceSpans []struct {
		ScopeSpans []struct{ Spans []json.RawMessage }
	}
	ResourceLogs []struct {
		ScopeLogs []struct{ LogRecords []json.RawMessage }
	}
	ResourceMetrics []struct {
		ScopeMetrics []struct {
			Metrics []struct {
				Gauge, Sum, Histogram, ExponentialHistogram, Summary struct{ DataPoints []json.RawMessage }
			}
		}
	}
}

func countJSON(s Signal, body []byte) int64 {
	var req jsonRequest
	if json.Unmarshal(body, &req) != nil {
		return 0
	}
	n := 0
	switch s {
	case Traces:
		for _, r := range req.ResourceSpans {
			for _, sc := range r.ScopeSpans {
				n += len(sc.Spans)
			}
		}
	case Logs:
		for _, r := range req.ResourceLogs {
			for _, sc := range r.ScopeLogs {
				n += len(sc.LogRecords)
			}
		}
	case Metrics:
		for _, r := range req.ResourceMetrics {
			for _, sc := range r.ScopeMetrics {
				for _, m := range sc.Metrics {
					n += len(m.Gauge.DataPoints) + len(m.Sum.DataPoints) + len(m.Histogram.DataPoints) +
						len(m.ExponentialHistogram.DataPoints) + len(m.Summary.DataPoints)
				}
			}
		}
	}
	return int64(n)
}
