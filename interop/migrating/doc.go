// Package migrating holds the programs of docs/migrating.md, before and after,
// where the compiler sees them. What stands between two lines "begin" and "end"
// is what the document shows.
package migrating
