// Package shadow is "clew go": it runs the go command with a standard library
// that has hooks, and links what uses them into every program.
//
// The standard library is that of the toolchain that the go command chooses for
// the directory. It is not copied into this repository: [Goroot] is a directory
// in the user's cache with links to the toolchain's files, and the patches of
// std.go put into some of them. Each patch finds its place by the signature of a
// function and the text of one statement; a place that is not there exactly once
// is a [PlaceError], and there is no Goroot then.
//
// clew's package internal/auto, which sets the hooks, and all that it imports
// are copied into that directory as standard packages: clew/auto and
// clew/x/.... The program's module graph has no part in it: its go.mod, its
// vendor directory and its own copies of the same packages are not touched.
//
// What is added to a program is one file in each main package, which the
// -overlay flag of the go command provides, and the patches of modules.go, which
// -toolexec puts in front of the compiler.
package shadow
