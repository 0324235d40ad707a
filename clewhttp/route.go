package clewhttp

import (
	"net/http"
	"strings"
)

// Route tells the [Handler] outside which pattern matched, and nothing else: it
// looks at the Pattern of the request after h has served it. It is for a router
// that gets another request than the Handler gave away, because middleware
// between them has put a context or a header of its own into it:
//
//	clewhttp.Handler(authenticate(clewhttp.Route(mux)))
//
// If several tell a pattern, that of the innermost counts.
func Route(h http.Handler) http.Handler {
	if h == nil {
		h = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if x := exchangeOf(w, r); x != nil {
			x.route(h, w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// SetPattern sets the Pattern of r, and tells it to the [Handler] that serves r,
// whoever has copied r in between. It is for routers that do not set it
// themselves: the one line in a middleware of theirs that names spans and
// metrics by the route. An empty pattern, of a request that nothing matched,
// changes nothing.
//
//	engine.Use(func(c *gin.Context) { clewhttp.SetPattern(c.Request, c.FullPath()) })
func SetPattern(r *http.Request, pattern string) {
	if pattern == "" {
		return
	}
	before := r.Pattern
	r.Pattern = pattern
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if x == nil || r == x.inner && before == pattern && x.pattern.Load() == nil {
		return // it is found there
	}
	if x.isRequest(r) || x.isPeer(r) {
		told := pattern
		x.pattern.Store(&told)
	}
}

// route lets h serve r, and notes the pattern that matched, also when h panics.
func (x *exchange) route(h http.Handler, w http.ResponseWriter, r *http.Request) {
	before := r.Pattern
	defer func() {
		// A pattern from before is that of a router outside.
		if pattern := r.Pattern; pattern != "" && pattern != before {
			x.pattern.CompareAndSwap(nil, &pattern)
		}
	}()
	h.ServeHTTP(w, r)
}

// routePath is the value of http.route, or "".
func (x *exchange) routePath() string {
	if p := x.pattern.Load(); p != nil {
		return patternPath(*p)
	}
	return patternPath(x.inner.Pattern)
}

// patternPath is the path of a pattern "[METHOD ][HOST]/[PATH]" as
// [http.ServeMux] has them. The pattern of another router is a path already.
func patternPath(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return ""
}
