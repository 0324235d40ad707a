//go:build otelsetup

package main

import _ "github.com/clewtrace/clew/otelsetup"
