package main

import (
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
)

// printTable writes rows under a header, aligned, without lines and colours.
func printTable(w io.Writer, header table.Row, rows []table.Row) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(header)
	t.AppendRows(rows)
	fmt.Fprintln(w, t.Render())
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
