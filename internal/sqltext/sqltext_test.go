package sqltext

import (
	"strings"
	"testing"
)

func TestSanitize(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT * FROM t1 WHERE id = 12":            `SELECT * FROM t1 WHERE id = ?`,
		"select 'it''s', -1.5e-3, .5 from a":        `select ?, -?, ? from a`,
		`SELECT "Name", a.b FROM "T 1" WHERE x='y'`: `SELECT "Name", a.b FROM "T 1" WHERE x=?`,
		`SELECT 'a\\' , b, 'c'`:                     `SELECT ? , b, ?`,
		`SELECT 'a\' , 'secret'`:                    `SELECT ?`,
		`SELECT 'a\'b secret'`:                      `SELECT ?`,
		"SELECT $1, $2 WHERE a = $$secret$$":        `SELECT $1, $2 WHERE a = ?`,
		"SELECT 1 -- secret\nFROM t /* secret */":   "SELECT ? ?FROM t ?",
		"INSERT INTO t VALUES ('open":               `INSERT INTO t VALUES (?`,
		"SELECT `open":                              `SELECT ?`,
		`SELECT "open`:                              `SELECT ?`,
		"SELECT $tag$ it's $$ $tag$, x":             `SELECT ?, x`,
		"UPDATE größe SET a=0x1F":                   `UPDATE größe SET a=?`,
		"":                                          "",
	} {
		if got := Sanitize(query, true); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", query, got, want)
		}
	}
	if got, want := Sanitize("SELECT `a` FROM t WHERE b = \"secret\"", false), "SELECT `a` FROM t WHERE b = ?"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOperation(t *testing.T) {
	for query, want := range map[string]string{" select 1": "SELECT", "INSERT INTO t": "INSERT", "(select 1)": "", "": "", "COMMIT": "COMMIT"} {
		if got := Operation(query); got != want {
			t.Errorf("Operation(%q) = %q, want %q", query, got, want)
		}
	}
}

// FuzzSanitize holds that nothing of a quoted literal stays, nor any quote.
func FuzzSanitize(f *testing.F) {
	f.Add("SELECT 'a' FROM t WHERE b = $1 AND c = 5")
	f.Add("A\"'00000000000000")
	f.Fuzz(func(t *testing.T, query string) {
		got := Sanitize(query, false)
		if strings.ContainsAny(got, "'\"") && !strings.Contains(query, "`") {
			t.Errorf("Sanitize(%q) = %q", query, got)
		}
	})
}
