package hostile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// version returns what the daemon that is attacked says of itself in one line.
func (o Options) version(ctx context.Context) (string, error) {
	program := filepath.Join(o.Bin, "decube-node")
	if o.Kubo != "" {
		program = o.Kubo
	}
	out, err := exec.CommandContext(ctx, program, "version").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the daemon's version: %w", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

// ending returns the last line of a log that tells of an end.
func ending(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return brief(err)
	}
	for line := range strings.Lines(string(text)) {
		for _, sign := range []string{"panic:", "fatal error:", "runtime:"} {
			if strings.HasPrefix(line, sign) {
				return strings.TrimSpace(line)
			}
		}
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return "without a word; it logged last: " + string(lines[len(lines)-1])
}

// Table writes a report for people.
func (r Report) Table(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "attack\tfrom\tserve MiB/s\tfetch MiB/s\tmember MiB/s\tnewcomer s\tmemory MiB\tgoroutines\tdescriptors\tlives\t")
	for _, one := range r.Results {
		b, d, a := one.Before, one.During, one.After
		lives := "yes"
		if one.Died != "" {
			lives = "NO"
		}
		fmt.Fprintf(t, "%s\t%d/%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", one.Attack, one.Identities, one.Addresses,
			trio(mib(b.Serve), mib(d.Serve), mib(a.Serve)), trio(mib(b.Fetch), mib(d.Fetch), mib(a.Fetch)),
			trio(mib(b.Protected), mib(d.Protected), mib(a.Protected)),
			trio(seconds(b.Newcomer), seconds(d.Newcomer), seconds(a.Newcomer)),
			trio(b.Peak.memory()>>20, d.Peak.memory()>>20, a.Idle.memory()>>20),
			trio(b.Idle.Goroutines, d.Peak.Goroutines, a.Idle.Goroutines),
			trio(b.Idle.Descriptors, d.Peak.Descriptors, a.Idle.Descriptors), lives)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	speech := "TCP"
	if r.QUIC {
		speech = "QUIC"
	}
	fmt.Fprintf(out, "\nFrom: identities and addresses, over %s. Three figures: before, during, and %s after. -: not done within %s.\n\n", speech, r.Bars.Settle, patience)
	for _, one := range r.Results {
		fmt.Fprintln(out, verdict(one))
		fmt.Fprintf(out, "    %s\n", counts(one))
	}
	return nil
}

// verdict is a result in a line.
func verdict(r Result) string {
	switch {
	case r.Failed != "":
		return fmt.Sprintf("%s: could not be made: %s", r.Attack, r.Failed)
	case len(r.Missed) == 0:
		return r.Attack + ": all bars held"
	default:
		return r.Attack + ": MISSED: " + strings.Join(r.Missed, "; ")
	}
}

// counts are what the attackers did, in all and a second, after what the table has no
// column for.
func counts(r Result) string {
	parts := []string{fmt.Sprintf("%.0f s", r.Seconds)}
	if b, d, a := r.Before.Head, r.During.Head, r.After.Head; b != nil && d != nil && a != nil {
		parts = append(parts, "head s: "+trio(seconds(*b), seconds(*d), seconds(*a)))
	}
	if b, d, a := r.Before.Decide, r.During.Decide, r.After.Decide; b != nil && d != nil && a != nil {
		parts = append(parts, "decide s: "+trio(seconds(*b), seconds(*d), seconds(*a)))
	}
	for _, what := range slices.Sorted(maps.Keys(r.Counts)) {
		n := r.Counts[what]
		parts = append(parts, fmt.Sprintf("%s: %d (%.1f a second)", what, n, float64(n)/max(r.Seconds, 1)))
	}
	return strings.Join(parts, ", ")
}

func trio(before, during, after any) string { return fmt.Sprintf("%v %v %v", before, during, after) }

func mib(r Rate) string {
	if r.Err != "" || r.Rate == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", r.Rate/(1<<20))
}

func seconds(t Time) string {
	if t.Err != "" {
		return "-"
	}
	return fmt.Sprintf("%.1f", t.Took.Seconds())
}
