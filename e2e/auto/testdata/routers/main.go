// Command routers serves the same page by four routers.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
)

func main() {
	c := chi.NewRouter()
	c.Use(middleware.RequestID, middleware.Recoverer)
	c.Route("/users", func(r chi.Router) {
		r.Get("/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "chi") })
	})
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.GET("/users/:id", func(c *gin.Context) { c.String(200, "gin") })
	e := echo.New()
	e.GET("/users/:id", func(c echo.Context) error { return c.String(200, "echo") })
	m := mux.NewRouter()
	m.HandleFunc("/users/{id:[0-9]+}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "gorilla") })

	for _, h := range []http.Handler{c, g, e, m} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		go http.Serve(l, h)
		url := "http://" + l.Addr().String() + "/users/7"
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := httputil.DumpRequestOut(req, true); err != nil { // sends nothing
			log.Fatal(err)
		}
		resp, err := http.Get(url)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
	}
}
