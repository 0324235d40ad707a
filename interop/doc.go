// Package interop has no code of its own: its tests send traces through the
// libraries and runtimes of others and check what is left of them. The results
// are in docs/interop.md.
package interop
