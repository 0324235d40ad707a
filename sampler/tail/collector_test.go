package tail_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

// That the Collector decides alike is shown in the module e2e/stack.
func ExampleCollectorConfig() {
	yaml, err := tail.CollectorConfig(tail.Config{
		Timeout: 10 * time.Second,
		Policies: []tail.Policy{
			{Span: tail.Condition{Error: true}},
			{Name: "slow checkout", Root: tail.Condition{Match: sampler.Match{Name: "POST /checkout"}, SlowerThan: time.Second}, Probability: 0.5},
			{Probability: 0.01},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(yaml)
	// Output:
	// tail_sampling:
	//   decision_wait: 10s
	//   num_traces: 10000
	//   decision_cache:
	//     sampled_cache_size: 32768
	//     non_sampled_cache_size: 32768
	//   policies:
	//     - name: "error"
	//       type: ottl_condition
	//       ottl_condition:
	//         error_mode: ignore
	//         span:
	//           - "span.status.code == STATUS_CODE_ERROR"
	//         spanevent:
	//           - "spanevent.name == \"exception\""
	//     - name: "slow checkout"
	//       type: and
	//       and:
	//         and_sub_policy:
	//           - name: "slow checkout 1"
	//             type: ottl_condition
	//             ottl_condition:
	//               error_mode: ignore
	//               span:
	//                 - "(span.parent_span_id == SpanID(0x0000000000000000) or span.flags >= 768) and IsMatch(span.name, \"(?s)^POST /checkout$\") and span.end_time_unix_nano - span.start_time_unix_nano > 1000000000"
	//           - name: "slow checkout 2"
	//             type: probabilistic
	//             probabilistic:
	//               sampling_percentage: 50
	//     - name: "probability"
	//       type: probabilistic
	//       probabilistic:
	//         sampling_percentage: 1
}

func TestCollectorConfigErrors(t *testing.T) {
	for want, policy := range map[string]tail.Policy{
		`Config.Policies[0] ("slow"): the Collector has no Root.SlowerThanQuantile`: {Root: tail.Condition{SlowerThanQuantile: 0.99}},
		`the Collector has no Span.SlowerThanQuantile`:                              {Span: tail.Condition{SlowerThanQuantile: 0.99}},
		`the Collector has no TracesPerSecond`:                                      {TracesPerSecond: 1},
		`Probability is 2`:                                                          {Probability: 2},
	} {
		if _, err := tail.CollectorConfig(tail.Config{Policies: []tail.Policy{policy}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q in it", err, want)
		}
	}
}

func TestCollectorPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"200":     "^200$",
		"5??":     "^5..$",
		"/a/*.js": `^/a/.*\.js$`,
		`\*\\x\`:  `^\*\\x\\$`,
	} {
		yaml, err := tail.CollectorConfig(tail.Config{Policies: []tail.Policy{{
			Span: tail.Condition{Match: sampler.Match{Attributes: map[attribute.Key]string{"k": pattern}}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		// Twice quoted, by YAML and by the transformation language.
		quoted := fmt.Sprintf("%q", fmt.Sprintf("%q", "(?s)"+want))
		if want := quoted[1 : len(quoted)-1]; !strings.Contains(yaml, want) {
			t.Errorf("pattern %s: no %s in\n%s", pattern, want, yaml)
		}
	}
}
