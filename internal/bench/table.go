package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
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

func (l *Limits) table(f Format) string {
	t := newGrid(1, "Limit", "Median", "Lowest", "Highest")
	for _, x := range l.Figures {
		d := Distribute(x.Samples)
		name := x.Name
		if name == LimitHashWrite {
			name += " (L)"
		}
		t.row(name, quantity(x.Median, x.Unit), quantity(d.Min, x.Unit), quantity(d.Max, x.Unit))
	}
	return t.render(f)
}

// operations is the table of what has samples.
func (d *Document) operations(f Format) string {
	t := newGrid(1, "Operation", "P50", "P95", "P99", "MB/s", "x L", "CPU s", "Peak MiB")
	for _, o := range d.Operations {
		s := o.Summary
		if s == nil {
			continue
		}
		t.row(
			o.Key(), seconds(s.Seconds.P50), seconds(s.Seconds.P95), seconds(s.Seconds.P99),
			rate(s.BytesPerSecond), ratio(s.RatioToL), fmt.Sprintf("%.2f", s.CPUSeconds),
			fmt.Sprintf("%.0f", float64(s.PeakBytes)/mib),
		)
	}
	return t.render(f)
}

// values is the table of figures that are not times.
func (d *Document) values(f Format) string {
	t := newGrid(2, "Operation", "Figure", "Value")
	for _, o := range d.Operations {
		for _, name := range slices.Sorted(maps.Keys(o.Values)) {
			t.row(o.Key(), name, metricText(name, o.Values[name]))
		}
	}
	return t.render(f)
}

// targets is the table of what was to be reached.
func (d *Document) targets(f Format) string {
	t := newGrid(2, "Operation", "Figure", "Got", "Target", "")
	for _, o := range d.Operations {
		for _, x := range o.Targets {
			got, verdict := metricText(x.Metric, x.Got), "MISSED"
			if _, measured := o.metric(x.Metric); !measured {
				got, verdict = "", "NOT MEASURED"
			}
			if x.Met {
				verdict = "met"
			}
			t.row(o.Key(), x.Metric, got, x.Op+" "+metricText(x.Metric, x.Want), verdict)
		}
	}
	return t.render(f)
}

// PrintComparison writes a comparison as a table.
func PrintComparison(w io.Writer, cs []Comparison, f Format) error {
	t := newGrid(2, "Operation", "Metric", "Old", "New", "Change", "p", "Verdict")
	for _, c := range cs {
		if c.Verdict == OnlyOld || c.Verdict == OnlyNew {
			t.row(c.Operation, c.Metric, "", "", "", "", c.Verdict)
			continue
		}
		t.row(
			c.Operation, c.Metric, seconds(c.Old), seconds(c.New),
			fmt.Sprintf("%+.1f%%", 100*c.Change), fmt.Sprintf("%.3f", c.P), c.Verdict,
		)
	}
	_, err := fmt.Fprintln(w, t.render(f))
	return err
}
