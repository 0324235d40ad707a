package otlp

import (
	"runtime/debug"
	"sync"
)

// UserAgent names this module and its version in requests (OpenTelemetry Protocol
// Exporter, "User Agent").
var UserAgent = sync.OnceValue(func() string {
	const name, module = "Clew-OTLP-Exporter-Go/", "github.com/clewtrace/clew"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && m.Version != "" && m.Version != "(devel)" {
				return name + m.Version
			}
		}
	}
	return name + "devel"
})
