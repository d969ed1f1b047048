package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/internal/bench"
)

// The real programs, measured once on little data: figures are not looked at,
// only that every operation has them.
func TestBenchmarkThroughRealPrograms(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	results := filepath.Join(scratch, "results.json")
	benchmark := func(args ...string) *bench.Document {
		t.Helper()
		args = append([]string{"benchmark"}, args...)
		args = append(args, "--iterations", "1", "--dir", scratch, "--output", results)
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "decubectl"), args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("decubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		d, err := readResults(results)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		args       []string
		operations int
	}{
		{[]string{"snapshot", "create", "--size", "8MB"}, 2},
		{[]string{"snapshot", "restore", "--size", "8MB"}, 4},
		{[]string{"cas", "--size", "8MB"}, 6},
		{[]string{"fetch", "--size", "8MB", "--transport", "TCP"}, 1},
		{[]string{"consensus", "--transactions", "40", "--concurrency", "1,20"}, 2},
	} {
		d := benchmark(c.args...)
		if len(d.Operations) != c.operations || len(d.Skipped) > 0 || d.Limits.L <= 0 {
			t.Errorf("%v: %d operations, want %d; skipped %v; L = %v", c.args, len(d.Operations), c.operations, d.Skipped, d.Limits.L)
		}
		for _, o := range d.Operations {
			if o.Summary == nil || o.Summary.Seconds.P50 <= 0 || o.Summary.PeakBytes <= 0 {
				t.Errorf("%v: %s has no figures", c.args, o.Key())
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(scratch, "decube-*")); err != nil || len(left) > 0 {
		t.Errorf("scratch space is left: %v, %v", left, err)
	}
}

func TestBenchmarkResults(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, seconds ...float64) string {
		o := &bench.Operation{System: "decube", Name: "work"}
		for _, s := range seconds {
			o.Samples = append(o.Samples, bench.Sample{Seconds: s})
		}
		d := &bench.Document{Operations: []*bench.Operation{o}}
		d.Finish()
		path := filepath.Join(dir, name)
		if err := writeResults(path, d); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before, after := write("sub/a.json", 1.0, 1.1, 1.2, 1.3), write("b.json", 2.0, 2.1, 2.2, 2.3)
	for args, want := range map[string]string{
		"compare " + before + " " + after:              bench.Worse,
		"compare " + after + " " + before:              bench.Better,
		"compare " + before + " " + before:             bench.Same,
		"compare " + before + " " + after + " --json":  `"verdict":"worse"`,
		"compare " + before:                            "two result documents",
		"compare " + before + " " + dir + "/none.json": "none.json",
		"show " + before:                               "decube work  1.15 s",
		"show " + before + " --markdown":               "| decube work | 1.15 s |",
		"show " + before + " --json":                   bench.Schema,
	} {
		var out bytes.Buffer
		run(append([]string{"benchmark"}, strings.Fields(args)...), strings.NewReader(""), &out, &out)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: no %q in\n%s", args, want, out.String())
		}
	}
}

func TestBenchmarkUsage(t *testing.T) {
	for _, args := range []string{
		"snapshot create --size much",
		"snapshot create --size 10",
		"snapshot create --iterations 0",
		"snapshot create --data Q --node " + os.Args[0],
		"cas --via pigeon",
		"fetch --transport pigeon",
		"fetch --rate fast",
		"daemon --blocks 0",
		"consensus --transactions 0",
		"consensus --transactions 10 --concurrency 11",
		"consensus --payload-size 1MB",
		"consensus --validators 3 --fault crash",
		"consensus --fault flood",
		"consensus --rtt -1ms",
		"snapshot create --node /nowhere/decube-node",
	} {
		var out bytes.Buffer
		if code := run(append([]string{"benchmark"}, strings.Fields(args)...), strings.NewReader(""), &out, &out); code != 2 {
			t.Errorf("benchmark %s: exit code %d, want 2:\n%s", args, code, out.String())
		}
	}
}
