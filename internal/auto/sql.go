package auto

import (
	"context"
	"database/sql/driver"
	"reflect"
	"strings"
	_ "unsafe" // for go:linkname

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/redact"
	"github.com/clewtrace/clew/internal/sqltext"
)

//go:linkname hookSQL database/sql.clewQuery
var hookSQL func(ctx context.Context, query string, args int, d driver.Driver) (context.Context, func(error))

func installSQL() { hookSQL = query }

func noEnd(error) {}

// query makes the span of a statement, if there is one that it belongs to:
// Semantic Conventions 1.43.0, "Database client spans".
func query(ctx context.Context, text string, args int, d driver.Driver) (context.Context, func(error)) {
	if !current().hasSpans() || standsBack() {
		return ctx, noEnd
	}
	parent := withParent(ctx)
	if !trace.SpanContextFromContext(parent).IsValid() {
		return ctx, noEnd
	}
	operation, system := sqltext.Operation(text), systemOf(d)
	if args == 0 { // with arguments, the values are not in the text
		text = sqltext.Sanitize(text, system == "postgresql" || system == "oracle.db" || system == "microsoft.sql_server")
	}
	name := operation
	if name == "" {
		name = system
	}
	ctx, span := tracer.Start(parent, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.DBSystemNameKey.String(system), semconv.DBQueryText(text), semconv.DBOperationName(operation)))
	return ctx, func(err error) {
		if err != nil {
			span.SetAttributes(semconv.ErrorType(err))
			span.SetStatus(codes.Error, redact.Text(err.Error()))
		}
		span.End()
	}
}

const otherSystem = "other_sql"

// systems has what is in the type of a driver, and the name of its system.
var systems = [][2]string{
	{"sqlite", "sqlite"}, {"mysql", "mysql"}, {"pgx", "postgresql"}, {"pq.", "postgresql"}, {"stdlib.", "postgresql"}, {"postgres", "postgresql"},
	{"mssql", "microsoft.sql_server"}, {"clickhouse", "clickhouse"}, {"oracle", "oracle.db"}, {"godror", "oracle.db"},
}

func systemOf(d driver.Driver) string {
	if d == nil {
		return otherSystem
	}
	driverType := strings.ToLower(reflect.TypeOf(d).String())
	for _, s := range systems {
		if strings.Contains(driverType, s[0]) {
			return s[1]
		}
	}
	return otherSystem
}
