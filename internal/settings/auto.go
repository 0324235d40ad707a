package settings

import (
	"errors"
	"math"
	"strings"
	"time"
)

// Auto is what only a program has that "clew go" has built.
type Auto struct {
	Off         bool // the program runs as if plain go had built it
	LogIDs      bool
	ExitTimeout time.Duration // above 0
	HealthPaths []string
}

const (
	autoOn          = "CLEW_AUTO"
	autoLogIDs      = "CLEW_AUTO_LOG_IDS"
	autoExitTimeout = "CLEW_AUTO_EXIT_TIMEOUT"
	autoHealthPaths = "CLEW_AUTO_HEALTH_PATHS"

	// defaultHealth are the paths that Kubernetes, Spring, Prometheus and the
	// examples of many frameworks use.
	defaultHealth = "/healthz,/livez,/readyz,/health,/health/live,/health/ready,/-/healthy,/-/ready"
)

// ReadAuto reads the variables of a program that "clew go" has built. Its
// problems are among those of [Read].
func ReadAuto(lookup func(name string) (string, bool)) Auto {
	r := &reader{lookup: lookup}
	a := r.auto()
	a.Off = a.Off || read(r, boolean, false, "OTEL_SDK_DISABLED")
	return a
}

// auto is quiet about defaults, because most programs are built by plain go.
func (r *reader) auto() Auto {
	standard, _ := paths.parse(defaultHealth) //nolint:errcheck // a constant
	if name, _ := r.find(autoOn, autoLogIDs, autoExitTimeout, autoHealthPaths); name == "" {
		return Auto{LogIDs: true, ExitTimeout: time.Second, HealthPaths: standard}
	}
	return Auto{
		Off:         !read(r, boolean, true, autoOn),
		LogIDs:      read(r, boolean, true, autoLogIDs),
		ExitTimeout: read(r, unbounded, time.Second, autoExitTimeout),
		HealthPaths: read(r, paths, standard, autoHealthPaths),
	}
}

// unbounded is a timeout whose zero is as good as no limit, and positive.
var unbounded = millisOr(math.MaxInt32 * time.Millisecond)

// paths are those of URLs, separated by commas.
var paths = kind[[]string]{
	parse: func(text string) ([]string, error) {
		if strings.EqualFold(text, None) {
			return nil, nil
		}
		var all []string
		for path := range strings.SplitSeq(text, ",") {
			path = strings.TrimSpace(path)
			if !strings.HasPrefix(path, "/") {
				return nil, errors.New("must be paths that begin with /, separated by commas, or none")
			}
			all = append(all, path)
		}
		return all, nil
	},
	show: func(all []string) string {
		if len(all) == 0 {
			return None
		}
		return plain.show(strings.Join(all, ","))
	},
}
