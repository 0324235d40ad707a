package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document is a file as the values at the ends of its tree, by path:
// "tracer_provider.processors[0].batch.schedule_delay". A list of scalars is one
// value, and so is what is empty.
type document struct {
	values map[string]any
	used   map[string]bool
}

func newDocument(root map[string]any) *document {
	d := &document{values: map[string]any{}, used: map[string]bool{}}
	for key, value := range root {
		d.add(key, value)
	}
	return d
}

func (d *document) add(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 {
			for key, below := range v {
				d.add(path+"."+key, below)
			}
			return
		}
	case []any:
		if slices.ContainsFunc(v, func(entry any) bool { _, isMap := entry.(map[string]any); return isMap }) {
			for i, below := range v {
				d.add(fmt.Sprintf("%s[%d]", path, i), below)
			}
			return
		}
	}
	d.values[path] = value
}

// value returns what stands at path, and nil if nothing does.
func (d *document) value(path string) any {
	v, ok := d.values[path]
	d.used[path] = d.used[path] || ok
	return v
}

// text is value as it would stand in a variable.
func (d *document) text(path string) string {
	if v := d.value(path); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// has reports whether path, or something below it, stands in the file.
func (d *document) has(path string) bool {
	for known := range d.values {
		if below(known, path) {
			return true
		}
	}
	return false
}

// below reports whether path is root, or under it.
func below(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// keys are the names directly below path, sorted.
func (d *document) keys(path string) []string {
	found := map[string]bool{}
	for known := range d.values {
		if rest, ok := strings.CutPrefix(known, path+"."); ok {
			name, _, _ := strings.Cut(rest, ".")
			name, _, _ = strings.Cut(name, "[")
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// entries are the paths of the entries of a list.
func (d *document) entries(path string) []string {
	var all []string
	for i := 0; ; i++ {
		entry := fmt.Sprintf("%s[%d]", path, i)
		if !d.has(entry) {
			return all
		}
		all = append(all, entry)
	}
}

// use marks all below path as understood.
func (d *document) use(path string) {
	for known := range d.values {
		if below(known, path) {
			d.used[known] = true
		}
	}
}

// unused are the shortest paths below which nothing was understood, sorted.
func (d *document) unused() []string {
	found := map[string]bool{}
	for path := range d.values {
		if d.used[path] {
			continue
		}
		shortest := path
		for i, c := range path {
			if c == '.' && !d.anyUsed(path[:i]) {
				shortest = path[:i]
				break
			}
		}
		found[shortest] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func (d *document) anyUsed(path string) bool {
	for known := range d.used {
		if below(known, path) {
			return true
		}
	}
	return false
}
