package routers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/julienschmidt/httprouter"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/examples/thirdparty/routers"
)

// routeOf serves GET /users/42 and returns the name and the route of its span.
func routeOf(t *testing.T, router http.Handler) (name, route string) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	server := httptest.NewServer(clewhttp.Handler(router, clewhttp.WithTracerProvider(tracers)))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/users/42", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	server.Close()
	if string(body) != "42" {
		t.Errorf("answered %q", body)
	}
	for _, a := range spans.Ended()[0].Attributes() {
		if a.Key == attribute.Key("http.route") {
			route = a.Value.AsString()
		}
	}
	return spans.Ended()[0].Name(), route
}

func expect(t *testing.T, router http.Handler, want string) {
	t.Helper()
	if name, route := routeOf(t, router); name != "GET "+want || route != want {
		t.Errorf("span %q with the route %q, want %q", name, route, want)
	}
}

func TestChi(t *testing.T) {
	router := chi.NewRouter()
	router.Use(routers.Chi)
	router.Get("/users/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, chi.URLParam(r, "id")) })
	expect(t, router, "/users/{id}")
}

func TestGin(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(routers.Gin)
	router.GET("/users/:id", func(c *gin.Context) { c.String(http.StatusOK, c.Param("id")) })
	expect(t, router, "/users/:id")
}

func TestEcho(t *testing.T) {
	router := echo.New()
	router.Use(routers.Echo)
	router.GET("/users/:id", func(c echo.Context) error { return c.String(http.StatusOK, c.Param("id")) })
	expect(t, router, "/users/:id")
}

func TestGorilla(t *testing.T) {
	router := mux.NewRouter()
	router.Use(routers.Gorilla)
	router.HandleFunc("/users/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, mux.Vars(r)["id"]) })
	expect(t, router, "/users/{id}")
}

func TestHTTPRouter(t *testing.T) {
	router := httprouter.New()
	router.GET("/users/:id", routers.HTTPRouter("/users/:id", func(w http.ResponseWriter, _ *http.Request, p httprouter.Params) {
		io.WriteString(w, p.ByName("id"))
	}))
	expect(t, router, "/users/:id")
}
