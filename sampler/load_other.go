//go:build !unix

package sampler

import "time"

func processorTime() (time.Duration, bool) { return 0, false }
