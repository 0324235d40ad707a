// Command sql stores an order and reads it back, through database/sql. Any
// driver can take SQLite's place here.
//
//	OTEL_SERVICE_NAME=orders go run ./sql -item=lamp
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"log/slog"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go

	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("sql")

func main() {
	item := flag.String("item", "lamp", "what is ordered; empty is refused by the database")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error { return run(ctx, *item) })
}

func run(ctx context.Context, item string) (err error) {
	db, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// The pool, as metrics: connections open, idle and waited for.
	if _, err := otelsql.RegisterDBStatsMetrics(db, system); err != nil {
		return err
	}

	ctx, span := tracer.Start(ctx, "order")
	defer span.End()
	if err := order(ctx, db, item); err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	return nil
}

var system = otelsql.WithAttributes(semconv.DBSystemNameSQLite)

// open wraps the driver. Of the spans that otelsql can make, those of the
// statements are kept: one each, with the text of the statement, and its
// placeholders rather than its arguments.
func open() (*sql.DB, error) {
	return otelsql.Open("sqlite", "file:orders?mode=memory&cache=shared", system, otelsql.WithSpanOptions(otelsql.SpanOptions{
		DisableErrSkip: true, OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, OmitConnectorConnect: true,
	}))
}

// order runs in one transaction. Each statement gets ctx: without it, its span
// would stand alone.
func order(ctx context.Context, db *sql.DB, item string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it was committed, or the error is known
	if _, err := tx.ExecContext(ctx, `CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT CHECK (item <> ''))`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO orders (item) VALUES (?)`, item); err != nil {
		return err
	}
	var id int
	if err := tx.QueryRowContext(ctx, `SELECT id FROM orders WHERE item = ?`, item).Scan(&id); err != nil {
		return err
	}
	slog.InfoContext(ctx, "ordered", slog.Int("id", id), slog.String("item", item))
	return tx.Commit()
}
