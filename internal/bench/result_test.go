package bench

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// sampleDocument has every field of the schema set.
func sampleDocument() *Document {
	d := &Document{
		Started: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), Seconds: 41.5,
		Version:    Version{Program: "1.2.3", Go: "go1.26.6", Commit: "abc+dirty"},
		Machine:    Machine{CPU: "AMD EPYC", Cores: 2, MemoryBytes: 24 << 30, OS: "linux", Arch: "amd64", Kernel: "6.18", FileSystem: "ext4"},
		Load:       0.7,
		Parameters: map[string]string{"size": "1GiB", "iterations": "3"},
		Limits: Limits{Bytes: gib, Direct: true, Figures: []Figure{
			{Name: LimitHash, Unit: unitRate, Samples: []float64{1.7e9, 1.8e9, 1.75e9}},
			{Name: LimitHashWrite, Unit: unitPer, Samples: []float64{0.9, 0.8, 1.0}},
			{Name: LimitSyncWrites, Unit: unitTimes, Samples: []float64{4200}},
		}},
		Operations: []*Operation{
			{
				System: "decube", Name: "snapshot create", Data: "R", Mode: "embedded", Bytes: gib, Files: 1,
				Samples: []Sample{
					{Seconds: 1.2, CPUSeconds: 1.9, PeakBytes: 100 << 20, Processes: []ProcessUsage{{"decubectl", 1.9, 100 << 20}}},
					{Seconds: 1.0, CPUSeconds: 1.7, PeakBytes: 120 << 20, Processes: []ProcessUsage{{"decubectl", 1.7, 120 << 20}}},
					{Seconds: 1.1, CPUSeconds: 1.8, PeakBytes: 110 << 20, Processes: []ProcessUsage{{"decubectl", 1.8, 110 << 20}}},
				},
				Targets: []Target{
					{Metric: MetricRatioToL, Op: AtMost, Want: 1.4},
					{Metric: MetricCPUPerGiB, Op: AtMost, Want: 2},
					{Metric: MetricPeakBytes, Op: AtMost, Want: 110 << 20},
				},
			},
			{
				System: "decube", Name: "daemon idle", Note: "ten peers on loopback",
				Values:  map[string]float64{"resident_bytes": 81 << 20, "cpu_share": 0.004},
				Targets: []Target{{Metric: "resident_bytes", Op: AtMost, Want: 80 << 20}, {Metric: "cpu_share", Op: AtMost, Want: 0.01}},
			},
		},
	}
	d.Skip("borg", "not installed")
	d.Finish()
	return d
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed; if that is meant, run go test -rewrite. Got:\n%s", path, got)
	}
}

// The schema is a contract with whoever keeps old results: see docs/benchmarks.md.
func TestSchemaGolden(t *testing.T) {
	var b bytes.Buffer
	if err := sampleDocument().Write(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", b.Bytes())

	d, err := Read(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := d.Write(&again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("a document does not survive being read and written")
	}
}

func TestReadRefuses(t *testing.T) {
	for _, s := range []string{"", "{}", `{"schema":"decube.bench/2"}`, "["} {
		if _, err := Read(strings.NewReader(s)); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestPrintGolden(t *testing.T) {
	for name, f := range map[string]Format{"table.txt": Plain, "table.md": Markdown} {
		var b bytes.Buffer
		if err := sampleDocument().Print(&b, f); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
	before, after := sampleDocument(), sampleDocument()
	after.Operations = after.Operations[:1]
	var b bytes.Buffer
	if err := PrintComparison(&b, Compare(before, after), Plain); err != nil {
		t.Fatal(err)
	}
	golden(t, "comparison.txt", b.Bytes())
}

func TestVerdicts(t *testing.T) {
	d := sampleDocument()
	if got := d.Limits.L; got != 0.9 {
		t.Errorf("L = %v, want 0.9", got)
	}
	var met []bool
	for _, o := range d.Operations {
		for _, x := range o.Targets {
			met = append(met, x.Met)
		}
	}
	for i, want := range []bool{true, true, false, false, true} {
		if met[i] != want {
			t.Errorf("target %d: met is %v, want %v", i, met[i], want)
		}
	}
	unmeasured := &Operation{Targets: []Target{{Metric: "absent", Op: AtMost, Want: 1}}}
	unmeasured.finish(1)
	if unmeasured.Targets[0].Met {
		t.Error("a target whose metric was not measured counts as met")
	}
}
