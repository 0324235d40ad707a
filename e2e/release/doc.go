// Package release tests what users of the modules get: which versions of other
// modules an import raises, and whether a release can be installed and used.
package release
