package otelsetup_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
)

// TestEmptyServiceName leaves the name empty wherever a variable can set it: the
// default applies, or the other name that is set.
func TestEmptyServiceName(t *testing.T) {
	for _, test := range []struct{ name, attributes, want string }{
		{"", "service.name=", "unknown_service:"},
		{"", "service.name=,team=blue", "unknown_service:"},
		{" ", "service.name= ", "unknown_service:"},
		{"shop", "service.name=", "shop"},
		{"", "service.name=shop", "shop"},
		{"", "service.name=shop,service.name=", "shop"},
	} {
		t.Run(test.name+" "+test.attributes, func(t *testing.T) {
			t.Setenv("OTEL_SERVICE_NAME", test.name)
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", test.attributes)
			store, _, flush := start(t)
			_, span := otel.Tracer("test").Start(t.Context(), "work")
			span.End()
			flush()
			if got := store.Spans()[0].Service(); !strings.HasPrefix(got, test.want) {
				t.Errorf("service %q, want %q", got, test.want)
			}
		})
	}
}
