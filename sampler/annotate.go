package sampler

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
)

// Annotate adds attributes to the spans that are kept and leaves the decision
// to delegate. It is the specification's ComposableAnnotating. Attributes of
// the delegate come first.
func Annotate(delegate Composable, attrs ...attribute.KeyValue) Composable {
	return &annotate{delegate: delegate, attrs: slices.Clip(slices.Clone(attrs))}
}

type annotate struct {
	delegate Composable
	attrs    []attribute.KeyValue
}

func (s *annotate) SamplingIntent(p Parameters) Intent {
	intent := s.delegate.SamplingIntent(p)
	if len(intent.Attributes) == 0 {
		intent.Attributes = s.attrs
	} else {
		intent.Attributes = slices.Concat(intent.Attributes, s.attrs)
	}
	return intent
}

func (s *annotate) Description() string {
	b := []byte("Annotate{" + s.delegate.Description())
	for _, kv := range s.attrs {
		b = fmt.Appendf(b, ",%s=%s", kv.Key, kv.Value.String())
	}
	return string(append(b, '}'))
}
