package explain

import "github.com/clewtrace/clew/tracecontext"

// Tracestate is a tracestate header, taken apart.
type Tracestate struct {
	Header  string   `json:"header"`
	Members []Member `json:"members,omitempty"`
	Fault   *Fault   `json:"fault,omitempty"` // nil if the header is valid
}

// Member is an entry of a tracestate.
type Member struct {
	Key      string    `json:"key"`
	Value    string    `json:"value"`
	Sampling *Sampling `json:"sampling,omitempty"` // for the key "ot"
}

// ParseTracestate explains a header.
func ParseTracestate(header string) Tracestate {
	t := Tracestate{Header: header}
	ts, err := tracecontext.ParseTracestate(header)
	if err != nil {
		t.Fault = faultOf(err)
		return t
	}
	for key, value := range ts.All() {
		m := Member{Key: key, Value: value}
		if key == "ot" {
			m.Sampling = parseSampling(value)
		}
		t.Members = append(t.Members, m)
	}
	return t
}
