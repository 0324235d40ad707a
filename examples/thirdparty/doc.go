// Package thirdparty holds the patterns that need more than clew does: a queue
// in a file, a message broker, gRPC, a database, loggers. It is a Go module of its
// own, so that nobody who imports clew pays for their dependencies.
package thirdparty
