package rulesfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/rulesfile"
	"github.com/clewtrace/clew/sampler/samplertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const example = `
rules:
  - name: GET /healthz*
    sample: never
  - kind: server
    parent: [none, remote]
    attributes:
      http.route: /checkout
      http.response.status_code: 200
    sample: always
  - name: "GET *"
    parent: local
    per_second: 5
  - sample: 0.25
`

const exampleJSON = `{"rules": [
	{"name": "GET /healthz*", "sample": "never"},
	{"kind": "server", "parent": ["none", "remote"],
	 "attributes": {"http.route": "/checkout", "http.response.status_code": 200}, "sample": "always"},
	{"name": "GET *", "parent": "local", "per_second": 5},
	{"sample": 0.25}
]}`

func TestParse(t *testing.T) {
	for name, text := range map[string]string{"YAML": example, "JSON": exampleJSON} {
		t.Run(name, func(t *testing.T) {
			rules, err := rulesfile.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			const want = `Rules{name="GET /healthz*": AlwaysOff; ` +
				`kind=server parent=none|remote http.response.status_code="200" http.route="/checkout": AlwaysOn; ` +
				`name="GET *" parent=local: RateLimit{5/s}; any: Probability{0.25}}`
			if got := sampler.Rules(rules...).Description(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestParseReadsYAML reads files that say the same in different ways.
func TestParseReadsYAML(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a document mark":       {"---\nrules:\n  - sample: 0.25\n", "Rules{any: Probability{0.25}}"},
		"a version and a mark":  {"%YAML 1.1\n---\nrules:\n  - sample: 0.25\n", "Rules{any: Probability{0.25}}"},
		"a comment and a mark":  {"# rules\n\n--- # of the shop\nrules: [{sample: 0.25}]\n...\n", "Rules{any: Probability{0.25}}"},
		"a byte order mark":     {"\ufeff---\nrules: [{sample: 0.25}]\n", "Rules{any: Probability{0.25}}"},
		"an alias of a share":   {"rules:\n  - {name: a, sample: &always 0.25}\n  - {sample: *always}\n", `Rules{name="a": Probability{0.25}; any: Probability{0.25}}`},
		"an alias called never": {"rules:\n  - {name: a, sample: &never always}\n  - {sample: *never}\n", `Rules{name="a": AlwaysOn; any: AlwaysOn}`},
		"of a rate":             {"rules:\n  - {name: a, per_second: &r 5}\n  - {per_second: *r}\n", `Rules{name="a": RateLimit{5/s}; any: RateLimit{5/s}}`},
		"of a name":             {"rules:\n  - {name: &n a, sample: 0.25}\n  - {name: *n, sample: 0}\n", `Rules{name="a": Probability{0.25}; name="a": AlwaysOff}`},
		"of a kind":             {"rules:\n  - {kind: &client server, sample: 0.25}\n  - {kind: *client, sample: 0}\n", `Rules{kind=server: Probability{0.25}; kind=server: AlwaysOff}`},
		"of one parent":         {"rules:\n  - {parent: &local remote, sample: 0.25}\n  - {parent: [*local], sample: 0}\n", `Rules{parent=remote: Probability{0.25}; parent=remote: AlwaysOff}`},
		"of several parents":    {"rules:\n  - {parent: &p [none, remote], sample: 0.25}\n  - {parent: *p, sample: 0}\n", `Rules{parent=none|remote: Probability{0.25}; parent=none|remote: AlwaysOff}`},
		"of attributes":         {"rules:\n  - {attributes: &a {k: &v x}, sample: 0.25}\n  - {attributes: *a, sample: 0}\n  - {attributes: {k: *v}, sample: 1}\n", `Rules{k="x": Probability{0.25}; k="x": AlwaysOff; k="x": Probability{1}}`},
		"of a rule":             {"rules:\n  - &r {name: a, sample: 0.25}\n  - *r\n", `Rules{name="a": Probability{0.25}; name="a": Probability{0.25}}`},
		"of a key":              {"rules:\n  - {name: &k sample, sample: 0.25}\n  - {*k : 0}\n", `Rules{name="sample": Probability{0.25}; any: AlwaysOff}`},
		"a merged rule":         {"rules:\n  - &r {name: a, kind: server, sample: 0.25}\n  - {<<: *r, name: b}\n", `Rules{name="a" kind=server: Probability{0.25}; name="b" kind=server: Probability{0.25}}`},
		"a rule that merges":    {"rules:\n  - &r {name: a, sample: 0.25}\n  - &s {<<: *r, name: b}\n  - {<<: *s, kind: server}\n", `Rules{name="a": Probability{0.25}; name="b": Probability{0.25}; name="b" kind=server: Probability{0.25}}`},
		"merges in a circle":    {"rules:\n  - &r {<<: *r, sample: 0.25}\n", `Rules{any: Probability{0.25}}`},
		"two merged rules":      {"rules:\n  - &r {name: a, sample: 0.25}\n  - &s {kind: server, sample: 0}\n  - {<<: [*r, *s]}\n", `Rules{name="a": Probability{0.25}; kind=server: AlwaysOff; name="a" kind=server: Probability{0.25}}`},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := rulesfile.Parse([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := sampler.Rules(rules...).Description(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestParseSaysWhatIsWrongWhere(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "line 1: the file is empty: want a list under rules"},
		{"[]", "line 1: want a mapping"},
		{"rules:\n  - {name: a, sample: &x tenth}\n  - {sample: *x}\n", "line 2: sample: \"tenth\": want always, never, or a share from 0 to 1\nline 3: sample: \"tenth\": want always, never, or a share from 0 to 1"},
		{"rules: &r\n  - *r\n", "line 2: want a mapping"},
		{"rules:\n  - {<<: 5, sample: 1}\n", "line 2: want a mapping"},
		{"rules:\n  - parent: &p [*p]\n    sample: 1\n", `line 2: parent: "": want one or several of none, local, remote`},
		{"rules: 1", "line 1: want a list under rules"},
		{"ruls: []", "line 1: ruls: unknown key, want one of rules"},
		{"rules:\n  - name: a\n", "line 2: want sample or per_second"},
		{"rules:\n  - name: a\n    sampel: 1\n", "line 3: sampel: unknown key, want one of name, kind, parent, attributes, sample, per_second"},
		{"rules:\n  - sample: 1.5\n", `line 2: sample: "1.5": want always, never, or a share from 0 to 1`},
		{"rules:\n  - sample: 10%\n", `line 2: sample: "10%": want always, never, or a share from 0 to 1`},
		{"rules:\n  - sample: .nan\n", `line 2: sample: ".nan": want always, never, or a share from 0 to 1`},
		{"rules:\n  - sample: 1\n    sample: 0\n", "line 3: sample: given twice"},
		{"rules:\n  - sample: 1\n    per_second: 2\n", "line 3: per_second: given beside sample: want one of them"},
		{"rules:\n  - per_second: -1\n", `line 2: per_second: "-1": want a positive number`},
		{"rules:\n  - sample: 1\n    kind: Server\n", `line 3: kind: "Server": want one of client, consumer, internal, producer, server`},
		{"rules:\n  - sample: 1\n    parent: root\n", `line 3: parent: "root": want one or several of none, local, remote`},
		{"rules:\n  - sample: 1\n    parent: []\n", "line 3: parent: want one or several of none, local, remote"},
		{"rules:\n  - sample: 1\n    name:\n", "line 3: name: want a text that is not empty"},
		{"rules:\n  - sample: 1\n    attributes:\n      a: [1]\n", "line 4: attributes: a: want a text, a number or a truth value"},
		{"rules:\n  - sample: 2\n  - sample: 3\n", "line 2: sample: \"2\": want always, never, or a share from 0 to 1\nline 3: sample: \"3\": want always, never, or a share from 0 to 1"},
	} {
		_, err := rulesfile.Parse([]byte(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %v", c.text, err, c.want)
		}
		var where *rulesfile.Error
		if !errors.As(err, &where) || where.Line < 1 {
			t.Errorf("%q: %v is no *Error", c.text, err)
		}
	}
	if _, err := rulesfile.Parse([]byte("rules: [")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("broken YAML: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example)
	f.Add(exampleJSON)
	f.Add("rules: &a [*a]")
	f.Fuzz(func(_ *testing.T, text string) {
		if rules, err := rulesfile.Parse([]byte(text)); err == nil {
			sampler.Rules(rules...).SamplingIntent(sampler.NewParameters(sdktrace.SamplingParameters{Name: text}))
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileConforms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, path, example)
	f, err := rulesfile.Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Shutdown(t.Context()) //nolint:errcheck // ends with the test
	samplertest.Run(t, f)
}

func TestReload(t *testing.T) {
	var mu sync.Mutex
	var reported []string
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		reported = append(reported, err.Error())
	}))
	t.Cleanup(func() { otel.SetErrorHandler(previous) })
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, path, "rules: [{sample: never}]")

	synctest.Test(t, func(t *testing.T) {
		f, err := rulesfile.Open(path, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := f.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		expect := func(description string, errors int) {
			t.Helper()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := f.Description(); got != description {
				t.Errorf("rules are %s, want %s", got, description)
			}
			if len(reported) != errors {
				t.Errorf("reported %d errors, want %d: %q", len(reported), errors, reported)
			}
		}
		expect("Rules{any: AlwaysOff}", 0)
		write(t, path, "rules: [{sample: always}]")
		expect("Rules{any: AlwaysOn}", 0)
		write(t, path, "rules:\n- sample: often")
		expect("Rules{any: AlwaysOn}", 1)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("Rules{any: AlwaysOn}", 2)
		write(t, path, "rules: [{sample: 0.5}]")
		expect("Rules{any: Probability{0.5}}", 2)
	})
	want := fmt.Sprintf(`rulesfile: %s: line 2: sample: "often": want always, never, or a share from 0 to 1; the rules read before stay in force`, path)
	if len(reported) > 0 && reported[0] != want {
		t.Errorf("got  %s\nwant %s", reported[0], want)
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if _, err := rulesfile.Open(path, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	write(t, path, "rules: 1")
	if _, err := rulesfile.Open(path, 0); err == nil {
		t.Error("wrong rules: no error")
	}
	write(t, path, strings.Repeat("#", 1<<20+1))
	if _, err := rulesfile.Open(path, 0); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("large file: %v", err)
	}
	if _, err := rulesfile.Open(path, -1); err == nil {
		t.Error("negative interval: no error")
	}
}

// Two sets of rules agree about the first span and differ in which of the
// other two they keep: a mixture of both sets would keep both or none.
func TestNoDecisionIsLostOrMixed(t *testing.T) {
	a := "rules: [{name: x, sample: always}, {name: y, sample: always, attributes: {set: a}}, {attributes: {set: b}, sample: never}]"
	b := "rules: [{name: x, sample: always}, {name: y, sample: always, attributes: {set: b}}, {attributes: {set: a}, sample: never}]"
	path := filepath.Join(t.TempDir(), "rules.yaml")
	replace := func(text string) {
		write(t, path+".new", text)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace(a)
	f, err := rulesfile.Open(path, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	s := sampler.New(f)
	var stop atomic.Bool
	finished := make(chan error)
	go func() {
		defer close(finished)
		for !stop.Load() {
			if s.ShouldSample(sdktrace.SamplingParameters{Name: "x"}).Decision != sdktrace.RecordAndSample {
				finished <- errors.New("x was dropped")
				return
			}
		}
	}()
	seen := map[bool]bool{}
	for i := 0; len(seen) < 2 && i < 1_000_000; i++ {
		if i%1000 == 0 {
			replace([]string{a, b}[i/1000%2])
		}
		kept := s.ShouldSample(sdktrace.SamplingParameters{
			Name: "y", Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{attribute.String("set", "a")},
		}).Decision == sdktrace.RecordAndSample
		seen[kept] = true
	}
	stop.Store(true)
	if err := <-finished; err != nil {
		t.Error(err)
	}
	if len(seen) < 2 {
		t.Error("the rules never changed")
	}
	if err := f.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
