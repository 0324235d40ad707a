package otlp_test

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	collogspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
)

// TestKeysAreUnique encodes records of a provider that allows keys twice as those of one
// that removes them: each key has its first place and its last value.
func TestKeysAreUnique(t *testing.T) {
	many := func(n int) (attrs []attribute.KeyValue) {
		for i := range n {
			attrs = append(attrs, attribute.Int(fmt.Sprint("k", i), i))
		}
		return append(attrs, attribute.String("k0", "last"))
	}
	for name, attrs := range map[string][]attribute.KeyValue{
		"none":           nil,
		"once":           {attribute.Int("a", 1), attribute.Int("b", 2)},
		"twice":          {attribute.Int("a", 1), attribute.Int("b", 2), attribute.String("a", "last")},
		"behind the few": many(10),
		"behind the 32":  many(100),
		"in a map": {{Key: "m", Value: attribute.MapValue(
			attribute.Int("a", 1), attribute.Int("b", 2), attribute.String("a", "last"))}},
		"in a list in a map": {{Key: "m", Value: attribute.MapValue(attribute.KeyValue{Key: "l", Value: attribute.SliceValue(
			attribute.MapValue(attribute.Int("a", 1), attribute.String("a", "last")))})}},
	} {
		t.Run(name, func(t *testing.T) {
			var got, want collogspb.LogRecord
			decode := func(into *collogspb.LogRecord, opts ...sdklog.LoggerProviderOption) {
				if err := proto.Unmarshal(encodedBy(t, attrs, opts...), into); err != nil {
					t.Fatal(err)
				}
			}
			decode(&want)
			decode(&got, sdklog.WithAllowKeyDuplication())
			if !proto.Equal(&got, &want) {
				t.Errorf("got  %v\nwant %v", &got, &want)
			}
		})
	}
}

// encodedBy emits a record with attributes through a provider.
func encodedBy(t *testing.T, attrs []attribute.KeyValue, opts ...sdklog.LoggerProviderOption) []byte {
	t.Helper()
	var emitted recorder
	provider := sdklog.NewLoggerProvider(append(opts, sdklog.WithProcessor(&emitted))...)
	var r log.Record
	r.SetBody(attribute.StringValue("m"))
	r.SetObservedTimestamp(time.Unix(1_700_000_000, 1))
	r.AddAttributes(attrs...)
	provider.Logger("test").Emit(t.Context(), r)
	return otlp.AppendLogRecord(nil, &emitted[0], 0)
}
