// Package contrib is the root of a module with the parts of clew that need the
// client of a cloud or of a vendor, so that nobody else depends on them. Each
// package registers itself with otelsetup when it is imported for its side
// effect.
package contrib
