package delivery

import (
	"maps"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/clewtrace/clew/internal/otlp"
)

// scope is a resource and an instrumentation scope, encoded.
type scope struct {
	key      scopeKey
	resource *encodedResource
	header   []byte // of ScopeSpans or ScopeLogs
}

type encodedResource struct{ header []byte } // of ResourceSpans or ResourceLogs

type scopeKey struct {
	resource  attribute.Distinct
	schemaURL string // of the resource
	scope     instrumentation.Scope
}

// scopes keeps the encoded form of each resource and scope. Finding one takes no lock.
type scopes struct {
	resource *resource.Resource // in place of the items' own; nil: those

	newest atomic.Pointer[scope] // the newest, which is often the only one
	known  atomic.Pointer[map[scopeKey]*scope]
	mu     sync.Mutex // of those who replace the map
}

// maxScopes bounds what is kept encoded. A program has a few dozen; beyond the bound
// it begins anew.
const maxScopes = 1 << 10

// get returns the encoded form of a resource and a scope.
func (s *scopes) get(r *resource.Resource, is instrumentation.Scope) *scope {
	if s.resource != nil {
		r = s.resource
	}
	key := scopeKey{r.Equivalent(), r.SchemaURL(), is}
	if sc := s.newest.Load(); sc != nil && sc.key == key {
		return sc
	}
	if known := s.known.Load(); known != nil {
		if sc := (*known)[key]; sc != nil {
			return sc
		}
	}
	return s.encode(key, r)
}

func (s *scopes) encode(key scopeKey, r *resource.Resource) *scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[scopeKey]*scope)
	if old := s.known.Load(); old != nil && len(*old) < maxScopes {
		maps.Copy(known, *old)
	}
	if sc := known[key]; sc != nil {
		return sc
	}
	sc := &scope{key: key, header: otlp.AppendScope(nil, key.scope)}
	for _, other := range known {
		if other.key.resource == key.resource && other.key.schemaURL == key.schemaURL {
			sc.resource = other.resource
			break
		}
	}
	if sc.resource == nil {
		sc.resource = &encodedResource{otlp.AppendResource(nil, r)}
	}
	known[key] = sc
	s.known.Store(&known)
	s.newest.Store(sc)
	return sc
}
