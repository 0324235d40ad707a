package explain

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
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
	Started  *time.Time `json:"started,omitempty"` // if the id begins with it, as AWS X-Ray's do
	Fault    *Fault     `json:"fault,omitempty"`   // nil if the header is valid
}

// idAge is how old a trace can be for its id to be taken as one that begins
// with the time. X-Ray keeps traces for 30 days; of random ids, one in 1,600
// begins with such a number.
const idAge = 30 * 24 * time.Hour

// ParseTraceparent explains a header. now is used to see whether the id begins
// with a time.
func ParseTraceparent(header string, now time.Time) Traceparent {
	t := Traceparent{Header: header}
	tp, err := tracecontext.ParseTraceparent(header)
	if err != nil {
		fault := traceparentFault(header)
		t.Fault = &fault
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

const hexDigits = "0123456789abcdef"

// traceparentFault finds the first rule that an invalid header breaks, going
// through it from left to right.
func traceparentFault(s string) Fault {
	fields := []struct {
		name, section  string
		start, end     int
		delimiterAfter bool
	}{
		{"version", "3.2.2.1", 0, 2, true},
		{"trace-id", "3.2.2.3", 3, 35, true},
		{"parent-id", "3.2.2.4", 36, 52, true},
		{"trace-flags", "3.2.2.5", 53, 55, false},
	}
	for _, f := range fields {
		for i := f.start; i < f.end; i++ {
			if i >= len(s) {
				return Fault{len(s), fmt.Sprintf("the header ends inside %s, which needs %d hex digits", f.name, f.end-f.start), f.section}
			}
			if strings.IndexByte(hexDigits, s[i]) < 0 {
				return Fault{i, f.name + " must be lower-case hex digits, not " + character(s[i]), f.section}
			}
		}
		switch text := s[f.start:f.end]; {
		case f.name == "version" && text == "ff":
			return Fault{f.start, "version ff is invalid", f.section}
		case strings.HasSuffix(f.name, "-id") && strings.Trim(text, "0") == "":
			return Fault{f.start, f.name + " must not be all zero", f.section}
		}
		if !f.delimiterAfter {
			break
		}
		if f.end >= len(s) {
			return Fault{len(s), "the header ends after " + f.name, "3.2.2"}
		}
		if s[f.end] != '-' {
			return Fault{f.end, "a dash must follow " + f.name + ", not " + character(s[f.end]), "3.2.2"}
		}
	}
	if strings.HasPrefix(s, "00") {
		return Fault{55, "version 00 ends after trace-flags, at 55 characters", "3.2.2.2"}
	}
	return Fault{55, "in a higher version a dash or the end must follow trace-flags", "4.3"}
}

func character(c byte) string {
	if c < 0x20 || c > 0x7e {
		return fmt.Sprintf("byte 0x%02x", c)
	}
	return fmt.Sprintf("%q", c)
}
