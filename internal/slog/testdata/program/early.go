//go:build early

package main

import _ "github.com/clewtrace/clew/otelsetup/earlylog"
