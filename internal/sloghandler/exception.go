package sloghandler

import (
	"errors"
	"fmt"
	"reflect"
)

// exception is an error whose text is known. The SDK asks for both that and the
// type, which an error of its own would answer with another call into the
// program, and that may panic.
type exception struct {
	err  error
	text string
}

func (e *exception) Error() string { return e.text }

// Unwrap returns the error that was logged.
func (e *exception) Unwrap() error { return e.err }

// ErrorType returns what the SDK would make exception.type of the error that was
// logged: what it says itself, or the type below those that [fmt.Errorf] wraps
// around an error.
func (e *exception) ErrorType() (name string) {
	t := reflect.TypeOf(e.err)
	defer func() {
		if recover() != nil {
			name = typeName(t)
		}
	}()
	if says, ok := e.err.(interface{ ErrorType() string }); ok { //nolint:errorlint // the outermost, as the SDK does
		if name := says.ErrorType(); name != "" {
			return name
		}
	}
	for err := e.err; reflect.TypeOf(err) == wrapped; {
		if err = errors.Unwrap(err); err == nil {
			break
		}
		t = reflect.TypeOf(err)
	}
	return typeName(t)
}

var wrapped = reflect.TypeOf(fmt.Errorf("%w", errors.ErrUnsupported))

func typeName(t reflect.Type) string {
	if t.PkgPath() != "" && t.Name() != "" {
		return t.PkgPath() + "." + t.Name()
	}
	return t.String()
}
