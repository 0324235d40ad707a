// Package auto tests "clew go": it builds programs that know nothing of tracing,
// runs them, and looks at what a collector receives. The programs are in
// testdata, and are built in directories and modules of their own.
package auto
