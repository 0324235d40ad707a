package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// wantsColour reports whether out is a terminal and its user has not asked for
// plain text: https://no-color.org.
func wantsColour(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || slices.Contains([]string{"", "dumb"}, os.Getenv("TERM")) {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// terminalWidth returns the number of columns of the terminal that out writes to. It
// returns 0 if out is not a terminal or the number is not known.
func terminalWidth(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		return columns(file)
	}
	return 0
}

// minWidth is the least number of columns for which lines are broken.
const minWidth = 20

// wrap breaks text between words into lines of at most width columns: the first behind
// the prefix first, the others behind rest. A word that is longer than a line, such as a
// URL, stays whole, so that it can be copied. A width of 0 breaks nothing.
func wrap(first, rest, text string, width int) []string {
	if width < minWidth {
		return []string{first + text}
	}
	var lines []string
	prefix := first
	for {
		end := breakBefore(text, max(width-utf8.RuneCountInString(prefix), minWidth/2))
		if end == len(text) {
			return append(lines, prefix+text)
		}
		lines = append(lines, strings.TrimRight(prefix+text[:end], " "))
		text, prefix = strings.TrimLeft(text[end:], " "), rest
	}
}

// printWrapped prints text, broken between words where out is a terminal.
func printWrapped(out io.Writer, text string) {
	fmt.Fprintln(out, strings.Join(wrap("", "  ", text, terminalWidth(out)), "\n"))
}

// breakBefore returns where to break a text that has no more than room characters on
// a line: at the last space there, or else at the first one after it.
func breakBefore(text string, room int) int {
	end := len(text)
	for i := range text {
		if room--; room < 0 {
			end = i
			break
		}
	}
	if end == len(text) {
		return end
	}
	if i := strings.LastIndexByte(text[:end+1], ' '); i > 0 {
		return i
	}
	if i := strings.IndexByte(text[end:], ' '); i >= 0 {
		return end + i
	}
	return len(text)
}

// fits cuts text so that it has no more than so many characters.
func fits(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	if columns < 1 {
		return ""
	}
	return string([]rune(text)[:columns-1]) + "…"
}
