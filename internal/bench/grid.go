package bench

import (
	"strings"
	"unicode/utf8"
)

// grid is a table of text. The first columns are aligned to the left, those from
// numbers on to the right.
type grid struct {
	numbers int
	rows    [][]string // the first is the header
}

func newGrid(numbers int, header ...string) *grid {
	return &grid{numbers: numbers, rows: [][]string{header}}
}

func (g *grid) row(cells ...string) { g.rows = append(g.rows, cells) }

// render returns the lines of the table, or "" when it has a header only.
func (g *grid) render(f Format) string {
	if len(g.rows) == 1 {
		return ""
	}
	widths := make([]int, len(g.rows[0]))
	for _, r := range g.rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	first, between, last := "", "  ", ""
	if f == Markdown {
		first, between, last = "| ", " | ", " |"
	}
	lines := make([]string, 0, len(g.rows)+1)
	for i, r := range g.rows {
		cells := make([]string, len(r))
		for j, cell := range r {
			cells[j] = pad(cell, widths[j], j >= g.numbers)
		}
		lines = append(lines, strings.TrimRight(first+strings.Join(cells, between)+last, " "))
		if i == 0 && f == Markdown {
			lines = append(lines, g.rule(widths))
		}
	}
	return strings.Join(lines, "\n")
}

// rule is the line below a Markdown header, which says how columns are aligned.
func (g *grid) rule(widths []int) string {
	cells := make([]string, len(widths))
	for i, w := range widths {
		cells[i] = strings.Repeat("-", max(w, 3))
		if i >= g.numbers {
			cells[i] = cells[i][1:] + ":"
		}
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

func pad(s string, width int, right bool) string {
	space := strings.Repeat(" ", width-utf8.RuneCountInString(s))
	if right {
		return space + s
	}
	return s + space
}
