package jsonvalue_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/jsonvalue"
)

// FuzzParse has encoding/json as the oracle.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		``, ` `, `null`, ` true `, `false`, `0`, `-1.5e+300`, `1e999`, `12345678901234567890`, `01`, `"`, `""`, `"a`, `"\"\\\/\b\f\n\r\t"`,
		`"\u00e9\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\ude00\ud83d"`, `"\uD83D\n"`, "\"\xff\xe2\x82\"", "\"a\nb\"", `"\x"`,
		`[]`, `[ ]`, `[1,]`, `[1 , "a",[null],{}]`, `{}`, `{"a":1,"a":{"b":[true]} , "":null}`, `{"a"}`, `{a:1}`, `{"a:,]}":",:"}`, `1 2`, `{} x`,
		strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := jsonvalue.Parse(text)
		if ok != json.Valid(text) {
			t.Fatalf("%q: %v, want %v", text, ok, !ok)
		}
		if !ok {
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, want %#v", text, got, want)
		}
	})
}
