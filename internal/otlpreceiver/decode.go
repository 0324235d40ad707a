package otlpreceiver

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

var (
	errTooLarge = errors.New("request too large")
	errTooDeep  = fmt.Errorf("messages nested deeper than %d", maxDepth)
)

// unmarshalBinary decodes the protobuf encoding. What it takes is known from
// costOfBinary, which has found it well-formed too.
func unmarshalBinary(b []byte, msg proto.Message) error {
	return proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, msg)
}
