package shadow

// modulePatch changes a package of a module. A package that it does not fit is
// compiled as it is, with a warning.
type modulePatch struct {
	files [][]filePatch // of each list, the first whose steps fit; the files are named without their directory
	added string        // the directory below modules whose files are added
	lost  string        // what the program is without if the patch does not fit
}

// modulePatches are the changes to packages of modules: routers tell net/http
// the route that they have found, h2c the requests that it serves past net/http,
// and grpc its calls.
//
// The SDK that telemetry uses takes six allocations less for a span. It looks for
// equal keys among few attributes without a map, copies attributes once, and gives
// processors the span, which does not change after its end, in place of a copy. It
// does not look for maps in the attributes of metrics, which are clew's own.
var modulePatches = map[string]modulePatch{
	"github.com/gin-gonic/gin": routes("gin.go",
		before("func (engine *Engine) handleHTTPRequest(c *Context)", "c.fullPath = value.fullPath", "http.ClewRoute(c.Request, value.fullPath)")),
	"github.com/labstack/echo/v4": routes("echo.go",
		before("func (e *Echo) ServeHTTP(w http.ResponseWriter, r *http.Request)", "e.pool.Put(c)", "http.ClewRoute(r, c.Path())")),
	"github.com/gorilla/mux": routes("mux.go",
		before("func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request)", "handler.ServeHTTP(w, req)",
			"if match.Route != nil { if t, err := match.Route.GetPathTemplate(); err == nil { http.ClewRoute(req, t) } }")),
	"github.com/go-chi/chi/v5": routes("mux.go",
		before("func (mx *Mux) routeHTTP(w http.ResponseWriter, r *http.Request)", "h.ServeHTTP(w, r)", "http.ClewRoute(r, rctx.RoutePattern())")),
	"golang.org/x/net/http2/h2c": {
		files: [][]filePatch{{{"h2c.go", []step{
			before("func (s h2cHandler) ServeHTTP(w http.ResponseWriter, r *http.Request)", "conn, err := initH2CWithPriorKnowledge(w)",
				"s.Handler = http.ClewHandler(s.Handler)"),
		}}}},
		lost: "spans of its requests",
	},
	"google.golang.org/grpc": {
		files: [][]filePatch{
			{{"server.go", []step{
				atStart("func NewServer(opt ...ServerOption) *Server", "opt, clew := clewServerOptions(opt)"),
				before("func NewServer(opt ...ServerOption) *Server", "chainUnaryServerInterceptors(s)", "clew.serves(s)"),
			}}},
			{
				grpcClient("func NewClient(target string, opts ...DialOption) (conn *ClientConn, err error)"),
				grpcClient("func newClient(target string, opts ...DialOption) (conn *ClientConn, err error)"),                        // 1.60 to 1.62
				grpcClient("func DialContext(ctx context.Context, target string, opts ...DialOption) (conn *ClientConn, err error)"), // before
			},
		},
		added: "grpc",
		lost:  "spans of its calls",
	},
	prefix + "go.opentelemetry.io/otel/sdk/trace": {
		files: [][]filePatch{{{"span.go", []step{
			instead("func (s *recordingSpan) SetAttributes(attributes ...attribute.KeyValue)", "s.attributes = slices.Grow(s.attributes, len(attributes))", "s.clewGrow(len(attributes))"),
			before("func (s *recordingSpan) dedupeAttrs()", "exists := make(map[attribute.Key]int, len(s.attributes))", "if s.clewUnique() { return }"),
			instead("func (s *recordingSpan) End(options ...trace.SpanEndOption)", "snap := s.snapshot()", "snap := s"),
		}}}},
		added: "sdktrace",
		lost:  "fast spans",
	},
	prefix + "go.opentelemetry.io/otel/trace": {
		files: [][]filePatch{{{"config.go", []step{
			atStart("func (o attributeOption) applySpan(c SpanConfig) SpanConfig", "if c.attributes == nil { c.attributes = o[:len(o):len(o)]; return c }"),
		}}}},
		lost: "fast start of its spans",
	},
	prefix + "go.opentelemetry.io/otel/sdk/metric": {
		files: [][]filePatch{{{"instrument.go", []step{
			instead("func resolveAttributes(configAttrs attribute.Set, rawKVs []attribute.KeyValue) attribute.Set", "configAttrs, _ = attrnorm.SetDedup(configAttrs)", ""),
		}}}},
		lost: "fast measurements",
	},
}

// routes is the patch of a router.
func routes(file string, steps ...step) modulePatch {
	return modulePatch{files: [][]filePatch{{{file, steps}}}, lost: "routes in its spans"}
}

// grpcClient patches the function that all others go through that make a client.
func grpcClient(signature string) filePatch {
	return filePatch{"clientconn.go", []step{atStart(signature, "opts = clewDialOptions(target, opts)")}}
}
