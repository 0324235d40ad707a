// Command server has a database and two kinds of logs. It knows nothing of
// tracing.
package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
)

func main() {
	sql.Register("sqlite-stand-in", standIn{})
	db, err := sql.Open("sqlite-stand-in", "")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE greetings"); err != nil { // outside of a request
		log.Fatal(err)
	}
	grouped := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("component", "greeter").WithGroup("request")
	http.HandleFunc("GET /greet/{name}", func(w http.ResponseWriter, r *http.Request) {
		slog.Info("slog", "path", r.URL.Path)
		log.Print("log")
		grouped.Info("grouped", "name", r.PathValue("name"))
		if _, err := db.Exec("INSERT INTO greetings VALUES ('secret', 17)"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "Hello")
	})
	http.HandleFunc("GET /driver/{what}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := sql.OpenDB(connector(r.PathValue("what"))).Exec("DELETE FROM greetings"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on http://" + l.Addr().String())
	log.Fatal(http.Serve(l, nil))
}

// standIn is a driver whose statements all succeed.
type standIn struct{}

func (standIn) Open(string) (driver.Conn, error) { return conn{}, nil }

type conn struct{}

func (conn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (conn) Close() error                        { return nil }
func (conn) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }
func (conn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

// connector is without a driver, which database/sql does not ask for.
type connector string

func (connector) Connect(context.Context) (driver.Conn, error) { return conn{}, nil }

func (c connector) Driver() driver.Driver {
	if c == "panics" {
		panic("there is no driver")
	}
	return nil
}
