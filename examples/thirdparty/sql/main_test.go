package main

import (
	"strings"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestSQL(t *testing.T) {
	c := exampletest.NewCollector(t)
	program := exampletest.Path(t)
	c.Start(t, program, "good", "-item=lamp").Wait(t, 0)
	c.Start(t, program, "bad", "-item=").Wait(t, 1)
	c.Expect(t, `
		bad order INTERNAL ERROR
			bad sql.conn.begin_tx CLIENT
			bad sql.conn.exec CLIENT
			bad sql.conn.exec CLIENT ERROR
			bad sql.tx.rollback CLIENT
		good order INTERNAL
			good sql.conn.begin_tx CLIENT
			good sql.conn.exec CLIENT
			good sql.conn.exec CLIENT
			good sql.conn.query CLIENT
			good sql.tx.commit CLIENT
	`)
	statements := map[string]bool{}
	for _, s := range c.Spans() {
		statements[otlpreceiver.Attribute(s.GetAttributes(), "db.query.text").GetStringValue()] = true
		if strings.Contains(s.String(), "lamp") {
			t.Errorf("an argument is recorded: %v", s.Span)
		}
	}
	if !statements["INSERT INTO orders (item) VALUES (?)"] {
		t.Errorf("the statements are not recorded: %v", statements)
	}
	metrics := map[string]bool{}
	for _, m := range c.Metrics() {
		metrics[m.GetName()] = true
	}
	if !metrics["db.client.connection.count"] && !metrics["db.sql.connection.open"] {
		t.Errorf("metrics %v, want those of the pool", metrics)
	}
}
