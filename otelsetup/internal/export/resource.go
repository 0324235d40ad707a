package export

import (
	"bytes"
	"io"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// logsOf removes from the requests of the log exporter the attributes of the
// resource that are not in another one: the SDK adds those that it can make of
// a malformed OTEL_RESOURCE_ATTRIBUTES, and a record's resource cannot be
// replaced.
type logsOf struct {
	next     http.RoundTripper
	resource *resource.Resource
}

// RoundTrip implements [http.RoundTripper].
func (t logsOf) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	var request collogs.ExportLogsServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	for _, logs := range request.GetResourceLogs() {
		if of := logs.GetResource(); of != nil {
			of.Attributes = slices.DeleteFunc(of.Attributes, func(a *commonpb.KeyValue) bool {
				_, ok := t.resource.Set().Value(attribute.Key(a.GetKey()))
				return !ok
			})
		}
	}
	if body, err = proto.Marshal(&request); err != nil {
		return nil, err
	}
	out := *r
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return t.next.RoundTrip(&out)
}
