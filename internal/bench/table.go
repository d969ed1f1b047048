package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Format is how tables are printed.
type Format int

// The formats.
const (
	Plain Format = iota
	Markdown
)

// busy is the load above which the reader is told that others were at work.
const busy = 0.5

// Print writes the document as tables for people.
func (d *Document) Print(w io.Writer, f Format) error {
	m := d.Machine
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s memory, %s %s, %s; %s (%s)\n\n",
		m.CPU, m.Cores, humanize.IBytes(uint64(max(m.MemoryBytes, 0))), m.OS, m.Kernel, m.FileSystem,
		d.Version.Program, d.Version.Go)
	if d.Load > busy {
		fmt.Fprintf(&b, "The machine was not idle: its load was %.1f before the run.\n\n", d.Load)
	}
	b.WriteString(d.Limits.table(f))
	for _, t := range []string{d.operations(f), d.values(f), d.targets(f)} {
		if t != "" {
			b.WriteString("\n\n" + t)
		}
	}
	b.WriteString("\n")
	told := map[string]bool{}
	for _, o := range d.Operations {
		if o.Note != "" && !told[o.Note] {
			fmt.Fprintf(&b, "\n%s: %s.", o.Key(), o.Note)
			told[o.Note] = true
		}
	}
	for _, s := range d.Skipped {
		fmt.Fprintf(&b, "\nNOT MEASURED: %s: %s", s.Name, s.Reason)
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(b.String(), "\n"))
	return err
}

func newTable(f Format, header table.Row, numbersFrom int) (table.Writer, func() string) {
	t := table.NewWriter()
	t.AppendHeader(header)
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	var columns []table.ColumnConfig
	for i := numbersFrom; i < len(header); i++ {
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	return t, func() string {
		switch {
		case t.Length() == 0:
			return ""
		case f == Markdown:
			return t.RenderMarkdown()
		}
		return t.Render()
	}
}

func (l *Limits) table(f Format) string {
	t, render := newTable(f, table.Row{"Limit", "Median", "Lowest", "Highest"}, 1)
	for _, x := range l.Figures {
		d := Distribute(x.Samples)
		name := x.Name
		if name == LimitHashWrite {
			name += " (L)"
		}
		t.AppendRow(table.Row{name, quantity(x.Median, x.Unit), quantity(d.Min, x.Unit), quantity(d.Max, x.Unit)})
	}
	return render()
}

// operations is the table of what has samples.
func (d *Document) operations(f Format) string {
	t, render := newTable(f, table.Row{"Operation", "P50", "P95", "P99", "MB/s", "x L", "CPU s", "Peak MiB"}, 1)
	for _, o := range d.Operations {
		s := o.Summary
		if s == nil {
			continue
		}
		t.AppendRow(table.Row{
			o.Key(), seconds(s.Seconds.P50), seconds(s.Seconds.P95), seconds(s.Seconds.P99),
			rate(s.BytesPerSecond), ratio(s.RatioToL), fmt.Sprintf("%.2f", s.CPUSeconds),
			fmt.Sprintf("%.0f", float64(s.PeakBytes)/mib),
		})
	}
	return render()
}

// values is the table of figures that are not times.
func (d *Document) values(f Format) string {
	t, render := newTable(f, table.Row{"Operation", "Figure", "Value"}, 2)
	for _, o := range d.Operations {
		for _, name := range slices.Sorted(maps.Keys(o.Values)) {
			t.AppendRow(table.Row{o.Key(), name, metricText(name, o.Values[name])})
		}
	}
	return render()
}

// targets is the table of what was to be reached.
func (d *Document) targets(f Format) string {
	t, render := newTable(f, table.Row{"Operation", "Figure", "Got", "Target", ""}, 2)
	for _, o := range d.Operations {
		for _, x := range o.Targets {
			verdict := "MISSED"
			if x.Met {
				verdict = "met"
			}
			t.AppendRow(table.Row{o.Key(), x.Metric, metricText(x.Metric, x.Got), x.Op + " " + metricText(x.Metric, x.Want), verdict})
		}
	}
	return render()
}

// Missed lists the targets that were not met, by operation.
func (d *Document) Missed() []string {
	var out []string
	for _, o := range d.Operations {
		for _, t := range o.Targets {
			if !t.Met {
				out = append(out, fmt.Sprintf("%s: %s is %s, target %s %s",
					o.Key(), t.Metric, metricText(t.Metric, t.Got), t.Op, metricText(t.Metric, t.Want)))
			}
		}
	}
	return out
}

// PrintComparison writes a comparison as a table.
func PrintComparison(w io.Writer, cs []Comparison, f Format) error {
	t, render := newTable(f, table.Row{"Operation", "Metric", "Old", "New", "Change", "p", "Verdict"}, 2)
	for _, c := range cs {
		if c.Verdict == OnlyOld || c.Verdict == OnlyNew {
			t.AppendRow(table.Row{c.Operation, c.Metric, "", "", "", "", c.Verdict})
			continue
		}
		t.AppendRow(table.Row{
			c.Operation, c.Metric, seconds(c.Old), seconds(c.New),
			fmt.Sprintf("%+.1f%%", 100*c.Change), fmt.Sprintf("%.3f", c.P), c.Verdict,
		})
	}
	_, err := fmt.Fprintln(w, render())
	return err
}
