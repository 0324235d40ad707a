// Package aws describes the process by where it runs at Amazon: an EC2 instance,
// an ECS task.
//
//	import _ "github.com/clewtrace/clew/contrib/detect/aws"
//
// The metadata services are asked when otelsetup.Start is called, for a second
// at most together with every other detector.
package aws

import (
	"go.opentelemetry.io/contrib/detectors/aws/ec2/v2"
	"go.opentelemetry.io/contrib/detectors/aws/ecs"

	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() {
	extend.Detectors.Register("ec2", ec2.NewResourceDetector())
	extend.Detectors.Register("ecs", ecs.NewResourceDetector())
}
