// Package view keeps the traces that were received last and serves a web page
// that shows them.
//
// A [Ring] holds spans and log records up to a number of bytes; the traces that
// began to arrive first go first. [Handler] serves the page and the JSON it
// reads from a Ring. The page is files of this package, and loads nothing from
// elsewhere.
package view
