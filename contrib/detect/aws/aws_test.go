package aws_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	_ "github.com/clewtrace/clew/contrib/detect/aws"
	"github.com/clewtrace/clew/contrib/detect/internal/detecttest"
	"github.com/clewtrace/clew/otelsetup"
)

// metadata is what an instance metadata service answers.
var metadata = map[string]string{
	"/latest/api/token":                          "token",
	"/latest/dynamic/instance-identity/document": `{"region": "eu-west-1", "instanceId": "i-123", "accountId": "42"}`,
	"/latest/meta-data/hostname":                 "ip-10-0-0-1",
}

// start starts telemetry beside a metadata service.
func start(t *testing.T, service http.HandlerFunc) (spans *tracetest.InMemoryExporter, problems []otelsetup.Problem) {
	t.Helper()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", detecttest.Serve(t, service))
	return detecttest.Start(t)
}

func TestInstance(t *testing.T) {
	spans, problems := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		io.WriteString(w, metadata[r.URL.Path])
	})
	if len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	resource := spans.GetSpans()[0].Resource.String()
	for _, want := range []string{"cloud.provider=aws", "cloud.region=eu-west-1", "host.id=i-123", "service.name="} {
		if !strings.Contains(resource, want) {
			t.Errorf("the resource is %s, want %s", resource, want)
		}
	}
}

// TestSlow starts while the metadata service does not answer: that Start
// returns at all shows that there is a limit.
func TestSlow(t *testing.T) {
	returned := make(chan struct{})
	silent := func(http.ResponseWriter, *http.Request) { <-returned }
	t.Setenv("ECS_CONTAINER_METADATA_URI_V4", detecttest.Serve(t, silent))
	defer close(returned)
	_, problems := start(t, silent)
	for _, want := range []string{"resource detector ec2: ", "resource detector ecs: "} {
		if !strings.Contains(fmt.Sprint(problems), want) {
			t.Errorf("problems %v, want %q", problems, want)
		}
	}
}
