// Package configfile makes OTEL_CONFIG_FILE the path of a file of the
// OpenTelemetry declarative configuration:
//
//	import _ "github.com/clewtrace/clew/otelsetup/configfile"
//
// A sampler may be any that is registered under a name, with its argument below
// it:
//
//	tracer_provider:
//	  sampler:
//	    parent_based:
//	      root:
//	        adaptive: {traces_per_second: 10}
//
// As the specification says, what the file does not mention has the file
// format's default, and no other OTEL_* variable counts unless the file refers
// to it, as ${NAME} or ${NAME:-default}, or asks for the resource detector
// "service", which reads OTEL_SERVICE_NAME. A part of the file that is not
// understood is a problem in the report, and the rest is used. Exporters named
// otlp_grpc need the import of otelsetup/otlpgrpc.
package configfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/clewtrace/clew/internal/settings"
)

func init() { settings.RegisterFileParser(parse) }

const (
	// maxFile bounds a file in bytes. The largest configurations have a few
	// thousand, and what is larger is another file, or an endless one.
	maxFile = 1 << 20
	// maxValues bounds the values of a file with its aliases written out, which
	// a few lines can make billions.
	maxValues = 100_000
)

// parse reads a file as maps, lists and scalars, with its variables replaced.
func parse(path string, lookup func(name string) (string, bool)) (map[string]any, error) {
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("must be a file that can be read: %w", err)
	}
	root := map[string]any{}
	var document yaml.Node
	err = yaml.Unmarshal(text, &document)
	if err == nil {
		err = checkAliases(&document)
	}
	if err == nil {
		err = replace(&document, lookup)
	}
	if err == nil && document.Kind != 0 { // not empty
		err = document.Decode(&root)
	}
	if err != nil {
		// The parser says it in several lines.
		return nil, errors.New("must be a file of the declarative configuration: " + strings.ReplaceAll(err.Error(), "\n", ": "))
	}
	return root, nil
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}

// checkAliases counts the values of a document as if its aliases were written
// out, without writing them out.
func checkAliases(root *yaml.Node) error {
	sizes := map[*yaml.Node]int{}
	var count func(n *yaml.Node) int
	count = func(n *yaml.Node) int {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if size, known := sizes[n]; known {
			return size
		}
		sizes[n] = maxValues + 1 // of a value that is in itself
		size := 1
		for _, inner := range n.Content {
			size = min(size+count(inner), maxValues+1)
		}
		sizes[n] = size
		return size
	}
	if count(root) > maxValues {
		return fmt.Errorf("it has more than %d values, with its aliases written out", maxValues)
	}
	return nil
}

// replace puts the values of variables into the scalars below n. A scalar that
// is not quoted has the type of its new text: OpenTelemetry Configuration
// Data Model, "Environment variable substitution".
func replace(n *yaml.Node, lookup func(name string) (string, bool)) error {
	for i, below := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue // a key
		}
		if err := replace(below, lookup); err != nil {
			return err
		}
	}
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "$") {
		return nil
	}
	text, err := substitute(n.Value, lookup)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	n.Value = text
	if n.Style == 0 {
		n.Tag = "" // to be found anew
	}
	return nil
}

// reference is $$, ${NAME}, ${env:NAME} or ${NAME:-default}. The last
// alternative finds what is none of them.
var reference = regexp.MustCompile(`\$\$|\$\{(?:env:)?([a-zA-Z_][a-zA-Z0-9_]*)(?::-([^\n}]*))?\}|\$\{[^}]*\}?`)

func substitute(text string, lookup func(name string) (string, bool)) (string, error) {
	var err error
	replaced := reference.ReplaceAllStringFunc(text, func(found string) string {
		parts := reference.FindStringSubmatch(found)
		switch {
		case found == "$$":
			return "$"
		case parts[1] == "":
			err = fmt.Errorf("%s must be ${NAME} or ${NAME:-default}", found)
			return found
		}
		if value, ok := lookup(parts[1]); ok && value != "" {
			return value
		}
		return parts[2]
	})
	return replaced, err
}
