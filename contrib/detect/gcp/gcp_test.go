package gcp_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	_ "github.com/clewtrace/clew/contrib/detect/gcp"
	"github.com/clewtrace/clew/contrib/detect/internal/detecttest"
	"github.com/clewtrace/clew/otelsetup"
)

// metadata is what the metadata service of a node in Kubernetes answers.
var metadata = map[string]string{
	"/computeMetadata/v1/project/project-id":                   "shop",
	"/computeMetadata/v1/instance/attributes/cluster-name":     "main",
	"/computeMetadata/v1/instance/attributes/cluster-location": "europe-west1",
	"/computeMetadata/v1/instance/id":                          "123",
}

// start starts telemetry beside a metadata service.
func start(t *testing.T, service http.HandlerFunc) (spans *tracetest.InMemoryExporter, problems []otelsetup.Problem) {
	t.Helper()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(detecttest.Serve(t, service), "http://"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	return detecttest.Start(t)
}

func TestKubernetes(t *testing.T) {
	spans, problems := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		if _, known := metadata[r.URL.Path]; !known {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, metadata[r.URL.Path])
	})
	if len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	resource := spans.GetSpans()[0].Resource.String()
	for _, want := range []string{"cloud.account.id=shop", "cloud.region=europe-west1", "k8s.cluster.name=main", "host.id=123"} {
		if !strings.Contains(resource, want) {
			t.Errorf("the resource is %s, want %s", resource, want)
		}
	}
}

// TestSlow runs the program in a process of its own, because the library keeps
// what it was told. The metadata service does not answer: that Start returns at
// all shows that there is a limit.
func TestSlow(t *testing.T) {
	const child = "GCP_TEST_CHILD"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSlow$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	returned := make(chan struct{})
	defer close(returned)
	_, problems := start(t, func(http.ResponseWriter, *http.Request) { <-returned })
	if want := "resource detector gcp: "; !strings.Contains(fmt.Sprint(problems), want) {
		t.Errorf("problems %v, want %q", problems, want)
	}
}
