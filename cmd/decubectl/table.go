package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// row is a line of a table.
type row []any

// printTable writes rows under a header, in columns.
func printTable(w io.Writer, header row, rows []row) {
	out := bufio.NewWriter(w) // the table writer writes each cell by itself
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, cells := range append([]row{header}, rows...) {
		texts := make([]string, len(cells))
		for j, cell := range cells {
			texts[j] = fmt.Sprint(cell)
			if i == 0 {
				texts[j] = strings.ToUpper(texts[j])
			}
		}
		fmt.Fprintln(t, strings.Join(texts, "\t"))
	}
	_, _ = t.Flush(), out.Flush() // as with every other print
}

// printFields writes names and values, one pair a line.
func printFields(w io.Writer, pairs ...any) {
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(w, "%-14s %v\n", fmt.Sprint(pairs[i])+":", pairs[i+1])
	}
}

// size writes bytes for people, such as "1.5 GiB".
func size[T ~int | ~int64 | ~uint64](n T) string {
	if n < 0 {
		return "0 B"
	}
	return humanize.IBytes(uint64(n))
}

// count writes a number for people, such as "15,036".
func count(n int64) string { return humanize.Comma(n) }

// plural writes a number with its noun.
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// when writes a time for people.
func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// rate writes bytes per second for people.
func rate(bytes int64, seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return size(int64(float64(bytes)/seconds)) + "/s"
}
