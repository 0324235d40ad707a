// Package routers shows the one line with which the routers of others name spans
// and metrics by the route. Each is a middleware that tells the pattern to the
// clewhttp.Handler around the router:
//
//	http.ListenAndServe(":8080", clewhttp.Handler(router))
package routers

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/julienschmidt/httprouter"
	"github.com/labstack/echo/v4"

	"github.com/clewtrace/clew/clewhttp"
)

// Chi is for router.Use. chi knows the whole pattern when the handler returns.
func Chi(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { clewhttp.SetPattern(r, chi.RouteContext(r.Context()).RoutePattern()) }()
		next.ServeHTTP(w, r)
	})
}

// Gin is for engine.Use.
func Gin(c *gin.Context) { clewhttp.SetPattern(c.Request, c.FullPath()) }

// Echo is for e.Use.
func Echo(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		clewhttp.SetPattern(c.Request(), c.Path())
		return next(c)
	}
}

// Gorilla is for router.Use.
func Gorilla(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pattern, err := mux.CurrentRoute(r).GetPathTemplate(); err == nil {
			clewhttp.SetPattern(r, pattern)
		}
		next.ServeHTTP(w, r)
	})
}

// HTTPRouter goes around each handle, because httprouter has no middleware and
// does not tell which pattern matched.
func HTTPRouter(pattern string, next httprouter.Handle) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		clewhttp.SetPattern(r, pattern)
		next(w, r, p)
	}
}
