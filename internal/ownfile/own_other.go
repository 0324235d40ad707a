//go:build !unix

package ownfile

import "os"

// Elsewhere the access lists of the directory decide, which Go does not show.
const noFollow = 0

func isOwn(os.FileInfo) bool { return true }

// SharedDir reports whether others than the user can write to a directory.
func SharedDir(os.FileInfo) bool { return false }
