package explain

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/clewtrace/clew/tracecontext"
)

// Traceparent is a traceparent header, taken apart.
type Traceparent struct {
	Header   string     `json:"header"`
	Version  string     `json:"version,omitempty"`
	TraceID  string     `json:"trace_id,omitempty"`
	ParentID string     `json:"parent_id,omitempty"`
	Flags    string     `json:"flags,omitempty"` // as received
	Sampled  bool       `json:"sampled"`
	Random   bool       `json:"random"`
	Unknown  bool       `json:"unknown_flags"`     // bits that Level 2 does not define
	Started  *time.Time `json:"started,omitempty"` // the time at the beginning of the trace id, as AWS X-Ray writes it
	Fault    *Fault     `json:"fault,omitempty"`   // nil if the header is valid
}

// idAge bounds the age of a trace whose id is taken to begin with the time. X-Ray keeps
// traces for 30 days. One random id in 1,600 looks as if it began with such a time.
const idAge = 30 * 24 * time.Hour

// ParseTraceparent explains a header. now decides whether the beginning of the trace id
// can be a time.
func ParseTraceparent(header string, now time.Time) Traceparent {
	t := Traceparent{Header: header}
	tp, err := tracecontext.ParseTraceparent(header)
	if err != nil {
		t.Fault = faultOf(err)
		return t
	}
	traceID, parentID := tp.TraceID(), tp.ParentID()
	t.Version, t.Flags = header[:2], header[53:55]
	t.TraceID, t.ParentID = hex.EncodeToString(traceID[:]), hex.EncodeToString(parentID[:])
	t.Sampled, t.Random = tp.IsSampled(), tp.IsRandom()
	flags, _ := hex.DecodeString(t.Flags)
	t.Unknown = flags[0] != byte(tp.Flags())
	started := time.Unix(int64(binary.BigEndian.Uint32(traceID[:4])), 0).UTC()
	if age := now.Sub(started); age >= -time.Minute && age <= idAge {
		t.Started = &started
	}
	return t
}
