package tracecontext_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clewtrace/clew/tracecontext"
)

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",k%02d=%d", i, i)
	}
	return b.String()[1:]
}

func TestParseTracestateRules(t *testing.T) {
	long := strings.Repeat("a", 256)
	valid := []struct {
		rule   string
		fields []string
		want   string
	}{
		{"no field", nil, ""},
		{"empty field", []string{""}, ""},
		{"one member", []string{"foo=1"}, "foo=1"},
		{"order is kept", []string{"foo=1,bar=2"}, "foo=1,bar=2"},
		{"several fields are one list", []string{"foo=1", "bar=2,baz=3"}, "foo=1,bar=2,baz=3"},
		{"an empty first field", []string{"", "foo=1"}, "foo=1"},
		{"empty members", []string{"foo=1,,,bar=2,"}, "foo=1,bar=2"},
		{"a leading comma", []string{",foo=1"}, "foo=1"},
		{"members of spaces and tabs", []string{"foo=1, \t ,bar=2"}, "foo=1,bar=2"},
		{"whitespace around members", []string{" \tfoo=1 \t, \tbar=2\t "}, "foo=1,bar=2"},
		{"only whitespace", []string{" \t"}, ""},
		{"leading spaces belong to the value", []string{"foo=  1"}, "foo=  1"},
		{"inner spaces belong to the value", []string{"foo=1 2"}, "foo=1 2"},
		{"trailing spaces do not belong to the value", []string{"foo=1  ,bar=2"}, "foo=1,bar=2"},
		{"key begins with a digit", []string{"1a=x"}, "1a=x"},
		{"key of one digit", []string{"0=x"}, "0=x"},
		{"several at signs", []string{"a@b@c=x"}, "a@b@c=x"},
		{"key ends in an at sign", []string{"foo@=x"}, "foo@=x"},
		{"all characters of a key", []string{"abcdefghijklmnopqrstuvwxyz0123456789_-*/@=x"}, "abcdefghijklmnopqrstuvwxyz0123456789_-*/@=x"},
		{"242 characters before the at sign", []string{strings.Repeat("t", 242) + "@v=1"}, strings.Repeat("t", 242) + "@v=1"},
		{"15 characters after the at sign", []string{"t@" + strings.Repeat("v", 15) + "=1"}, "t@" + strings.Repeat("v", 15) + "=1"},
		{"key of 256 characters", []string{long + "=1"}, long + "=1"},
		{"value of 256 characters", []string{"a=" + long}, "a=" + long},
		{"all characters of a value", []string{"a=" + valueCharacters()}, "a=" + valueCharacters()},
		{"32 members", []string{members(32)}, members(32)},
		{"32 members over two fields", []string{members(32)[:6], members(32)[6:]}, members(32)},
		{"32 members and empty ones", []string{",," + members(32) + ", ,"}, members(32)},
		{"first of two equal keys is kept", []string{"foo=1,bar=2,foo=3"}, "foo=1,bar=2"},
		{"first of two equal keys in two fields is kept", []string{"foo=1", "foo=1"}, "foo=1"},
		{"a key that begins as another", []string{"foo=1,fo=2,fooo=3"}, "foo=1,fo=2,fooo=3"},
	}
	for _, tt := range valid {
		t.Run(tt.rule, func(t *testing.T) {
			ts, err := tracecontext.ParseTracestate(tt.fields...)
			if err != nil || ts.String() != tt.want {
				t.Fatalf("ParseTracestate(%q) = %q, %v; want %q", tt.fields, ts, err, tt.want)
			}
			want := 0
			if tt.want != "" {
				want = strings.Count(tt.want, ",") + 1
			}
			if ts.Len() != want {
				t.Errorf("Len() = %d, want %d", ts.Len(), want)
			}
		})
	}

	invalid := []struct {
		rule   string
		fields []string
	}{
		{"33 members", []string{members(33)}},
		{"33 members over two fields", []string{members(32), "x=1"}},
		{"no equals sign", []string{"foo"}},
		{"no key", []string{"=1"}},
		{"no value", []string{"foo="}},
		{"value of spaces", []string{"foo=  "}},
		{"two equals signs", []string{"foo=1=2"}},
		{"space in key", []string{"foo bar=1"}},
		{"space after key", []string{"foo =1"}},
		{"tab after key", []string{"foo\t=1"}},
		{"tab in value", []string{"foo=1\t2"}},
		{"tab before value", []string{"foo=\t1"}},
		{"upper case in key", []string{"Foo=1"}},
		{"key begins with an underscore", []string{"_foo=1"}},
		{"key begins with an at sign", []string{"@foo=1"}},
		{"key with a dot", []string{"foo.bar=1"}},
		{"key of 257 characters", []string{long + "a=1"}},
		{"value of 257 characters", []string{"a=" + long + "a"}},
		{"delete in value", []string{"foo=\x7f"}},
		{"NUL in value", []string{"foo=a\x00b"}},
		{"non-ASCII in key", []string{"f\u00f6\u00f6=1"}},
		{"non-ASCII in value", []string{"foo=\u00e9"}},
		{"one bad member of many", []string{"a=1,b=2", "c"}},
	}
	for _, tt := range invalid {
		t.Run(tt.rule, func(t *testing.T) {
			ts, err := tracecontext.ParseTracestate(tt.fields...)
			if err == nil || ts != (tracecontext.Tracestate{}) {
				t.Errorf("ParseTracestate(%q) = %q, %v; want an error", tt.fields, ts, err)
			}
		})
	}
}

func valueCharacters() string {
	var b strings.Builder
	for c := byte(0x20); c <= 0x7e; c++ {
		if c != ',' && c != '=' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func parse(t *testing.T, fields ...string) tracecontext.Tracestate {
	t.Helper()
	ts, err := tracecontext.ParseTracestate(fields...)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func TestTracestateSet(t *testing.T) {
	for _, tt := range []struct{ rule, in, key, value, want string }{
		{"into the empty list", "", "a", "1", "a=1"},
		{"a new member goes first", "b=2", "a", "1", "a=1,b=2"},
		{"a changed member moves to the front", "b=2,a=1,c=3", "a", "4", "a=4,b=2,c=3"},
		{"the last member changes", "b=2,a=1", "a", "4", "a=4,b=2"},
		{"the first member changes", "a=1,b=2", "a", "4", "a=4,b=2"},
		{"the only member changes", "a=1", "a", "4", "a=4"},
		{"the 33rd is dropped", members(32), "a", "1", "a=1," + strings.TrimSuffix(members(32), ",k31=31")},
		{"a change in a full list drops nothing", members(32), "k31", "x", "k31=x," + strings.TrimSuffix(members(32), ",k31=31")},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			before := parse(t, tt.in)
			got, err := before.Set(tt.key, tt.value)
			if err != nil || got != parse(t, tt.want) {
				t.Errorf("Set(%q, %q) = %q, %v; want %q", tt.key, tt.value, got, err, tt.want)
			}
			if before.String() != tt.in {
				t.Errorf("Set changed its receiver to %q", before)
			}
		})
	}
	for _, tt := range []struct{ key, value string }{
		{"", "1"}, {"A", "1"}, {"a", ""}, {"a", "1 "}, {"a", "1,2"}, {"a=b", "1"}, {"a", "\t"}, {"a", strings.Repeat("x", 257)},
	} {
		ts := parse(t, "foo=1")
		if got, err := ts.Set(tt.key, tt.value); err == nil || got != ts {
			t.Errorf("Set(%q, %q) = %q, %v; want the list unchanged and an error", tt.key, tt.value, got, err)
		}
	}
}

func TestTracestateDelete(t *testing.T) {
	for _, tt := range []struct{ in, key, want string }{
		{"", "a", ""}, {"a=1", "a", ""}, {"a=1", "b", "a=1"},
		{"a=1,b=2,c=3", "a", "b=2,c=3"}, {"a=1,b=2,c=3", "b", "a=1,c=3"}, {"a=1,b=2,c=3", "c", "a=1,b=2"},
		{"aa=1,a=2", "a", "aa=1"},
	} {
		if got := parse(t, tt.in).Delete(tt.key); got != parse(t, tt.want) {
			t.Errorf("%q: Delete(%q) = %q, want %q", tt.in, tt.key, got, tt.want)
		}
	}
}

func TestTracestateTruncate(t *testing.T) {
	big := func(key string) string { return key + "=" + strings.Repeat("x", 130) }
	at128 := "e=" + strings.Repeat("x", 126)
	for _, tt := range []struct {
		rule, in string
		max      int
		want     string
	}{
		{"what fits is kept", "a=1,b=2", 7, "a=1,b=2"},
		{"from the end", "a=1,b=2,c=3", 10, "a=1,b=2"},
		{"whole members", "a=1,b=22222", 9, "a=1"},
		{"a short one at the end goes before a longer one", "a=1,b=22222,c=3", 11, "a=1,b=22222"},
		{"large members first", big("a") + ",b=2,c=3", 100, "b=2,c=3"},
		{"large members from the end", big("a") + "," + big("b") + ",c=3", 140, big("a") + ",c=3"},
		{"no more large members than needed", "a=1," + big("b"), 136, "a=1," + big("b")},
		{"128 bytes is not large", at128 + ",b=2", 128, at128},
		{"large members, then from the end", "a=1," + big("b") + ",c=3,d=4", 7, "a=1,c=3"},
		{"nothing fits", "a=1,b=2", 2, ""},
		{"zero", "a=1", 0, ""},
		{"below zero", "a=1", -5, ""},
		{"the empty list", "", 0, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := parse(t, tt.in).Truncate(tt.max); got != parse(t, tt.want) {
				t.Errorf("Truncate(%d) = %q, want %q", tt.max, got, tt.want)
			}
		})
	}
}
