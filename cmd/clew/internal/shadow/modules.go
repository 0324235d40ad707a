package shadow

// modulePatches are the changes to packages of modules, which tell net/http the
// route that a router has found. The files are named without their directory.
// What does not fit is compiled as it is, with a warning.
var modulePatches = map[string]filePatch{
	"github.com/gin-gonic/gin": {"gin.go", []step{
		before("func (engine *Engine) handleHTTPRequest(c *Context)", "c.fullPath = value.fullPath", "http.ClewRoute(c.Request, value.fullPath)"),
	}},
	"github.com/labstack/echo/v4": {"echo.go", []step{
		before("func (e *Echo) ServeHTTP(w http.ResponseWriter, r *http.Request)", "e.pool.Put(c)", "http.ClewRoute(r, c.Path())"),
	}},
	"github.com/gorilla/mux": {"mux.go", []step{
		before("func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request)", "handler.ServeHTTP(w, req)",
			"if match.Route != nil { if t, err := match.Route.GetPathTemplate(); err == nil { http.ClewRoute(req, t) } }"),
	}},
	"github.com/go-chi/chi/v5": {"mux.go", []step{
		before("func (mx *Mux) routeHTTP(w http.ResponseWriter, r *http.Request)", "h.ServeHTTP(w, r)", "http.ClewRoute(r, rctx.RoutePattern())"),
	}},
}
