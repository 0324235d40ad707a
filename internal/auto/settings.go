package auto

import (
	"os"
	"strings"
	"time"
)

// settings are those that only programs have that "clew go" has built.
var settings = struct {
	exitTimeout time.Duration
	logIDs      bool
	health      map[string]bool // paths
}{exitTimeout: time.Second, logIDs: true}

// defaultHealth are the paths that Kubernetes, Spring, Prometheus and the
// examples of many frameworks use.
const defaultHealth = "/healthz,/livez,/readyz,/health,/health/live,/health/ready,/-/healthy,/-/ready"

func readSettings() {
	if d, err := time.ParseDuration(os.Getenv("CLEW_AUTO_EXIT_TIMEOUT")); err == nil && d >= 0 {
		settings.exitTimeout = d
	}
	settings.logIDs = !is("CLEW_AUTO_LOG_IDS", "off")
	paths, set := os.LookupEnv("CLEW_AUTO_HEALTH_PATHS")
	if !set {
		paths = defaultHealth
	}
	settings.health = map[string]bool{}
	for p := range strings.SplitSeq(paths, ",") {
		settings.health[strings.TrimSpace(p)] = true
	}
}
