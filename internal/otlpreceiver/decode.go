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

// unmarshalBinary decodes the protobuf encoding. costOfBinary must have been called
// before: it has bounded the memory and found the message to be well-formed.
func unmarshalBinary(b []byte, msg proto.Message) error {
	return proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, msg)
}
