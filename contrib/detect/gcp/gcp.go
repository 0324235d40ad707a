// Package gcp describes the process by where it runs at Google: Kubernetes
// Engine, Compute Engine, Cloud Run, Cloud Functions, App Engine.
//
//	import _ "github.com/clewtrace/clew/contrib/detect/gcp"
//
// The metadata service is asked when otelsetup.Start is called, for a second
// at most together with every other detector. A request that is not answered by
// then is left to end by itself: the detector cannot be interrupted.
package gcp

import (
	"go.opentelemetry.io/contrib/detectors/gcp"

	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() { extend.Detectors.Register("gcp", gcp.NewDetector()) }
