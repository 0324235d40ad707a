// Package e2e runs clew's programs as processes of their own against real
// backends and reads back what those stored. It is a module of its own, so that
// nobody who imports clew pays for what its tests need.
//
// The backends are built from their published Go modules by the first test that
// needs them and kept below [os.UserCacheDir], in clew-e2e, named by version.
package e2e
