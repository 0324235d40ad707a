// Package view keeps the traces that were received last and serves a web page that
// shows them.
//
// A [Ring] holds spans and log records up to a number of bytes. To make room, it drops
// the traces that began to arrive first. [Handler] serves the page and the JSON that
// the page reads from a Ring. The page consists of files of this package and loads
// nothing from elsewhere.
package view
