package clewhttp

import (
	"errors"
	"io"
	"net/http"
	"reflect"
)

// requestBody counts what the handler reads.
type requestBody exchange

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.read.Add(int64(n))
	if err == io.EOF && b.inner.Trailer == nil {
		// The server puts trailers that no header has announced into its own
		// request, in a map that was not there when that was copied.
		b.inner.Trailer = b.request.Trailer
	}
	return n, err
}

func (b *requestBody) Close() error { return b.body.Close() }

// maxBytesReader is the type of what [http.MaxBytesReader] returns.
var maxBytesReader = reflect.TypeOf(http.MaxBytesReader(nil, http.NoBody, 0))

// closeAfterLimit makes the server close the connection of a client that has
// sent more than a [http.MaxBytesReader] lets through.
//
// That asks its writer for an unexported method of net/http, which no type
// outside of net/http can have, and finds none in the writer that the handler is
// given. What the method does before the header is written is to set this field.
// The reader is found where programs put it, in the Body of the request; it
// keeps its error, so that reading nothing tells whether the limit was hit.
func (x *exchange) closeAfterLimit() {
	body := x.inner.Body
	if x.body == nil || body == io.ReadCloser((*requestBody)(x)) || reflect.TypeOf(body) != maxBytesReader || x.request.ProtoMajor != 1 {
		return
	}
	_, err := body.Read(nil)
	if _, hit := errors.AsType[*http.MaxBytesError](err); hit {
		x.writer.Header().Set("Connection", "close")
	}
}
