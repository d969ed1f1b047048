package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Schema names the layout of a [Document]. Fields may be added under one name;
// a field that changes meaning or goes away takes a new one.
const Schema = "decube.bench/1"

// Document is the result of one run. Times are seconds, sizes bytes.
type Document struct {
	Schema     string            `json:"schema"`
	Started    time.Time         `json:"started"`
	Seconds    float64           `json:"seconds"`
	Version    Version           `json:"version"`
	Machine    Machine           `json:"machine"`
	Load       float64           `json:"load"` // processes ready to run when the run began, mean of a minute
	Parameters map[string]string `json:"parameters,omitempty"`
	Limits     Limits            `json:"limits"`
	Operations []*Operation      `json:"operations"`
	Skipped    []Skip            `json:"skipped,omitempty"`
}

// Version says which program was measured.
type Version struct {
	Program string `json:"program"`
	Commit  string `json:"commit,omitempty"` // ends in +dirty when built from a changed work tree
	Go      string `json:"go"`
}

// Skip is something that was asked for and could not be measured.
type Skip struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Operation is one thing measured several times. System, Name, Data and Mode
// together identify it from run to run.
type Operation struct {
	System  string             `json:"system"`          // "decube", or what it is compared with
	Name    string             `json:"name"`            // "snapshot create"
	Data    string             `json:"data,omitempty"`  // "R", "T" or another data set
	Mode    string             `json:"mode,omitempty"`  // "embedded", "daemon cold", ...
	Bytes   int64              `json:"bytes,omitempty"` // payload of one sample
	Files   int64              `json:"files,omitempty"`
	Note    string             `json:"note,omitempty"` // what a reader must know to read the figure
	Samples []Sample           `json:"samples,omitempty"`
	Summary *Summary           `json:"summary,omitempty"`
	Values  map[string]float64 `json:"values,omitempty"` // figures that are not times of samples, by metric
	Targets []Target           `json:"targets,omitempty"`
}

// Sample is one execution of an operation.
type Sample struct {
	Seconds    float64        `json:"seconds"`
	CPUSeconds float64        `json:"cpu_seconds"`         // user and system, of all processes
	PeakBytes  int64          `json:"peak_bytes"`          // sum of the processes' peaks
	Processes  []ProcessUsage `json:"processes,omitempty"` // what the two above consist of
}

// Measured is what a program prints that measures one sample of itself: the sample
// and figures that are not times of samples.
type Measured struct {
	Sample Sample             `json:"sample"`
	Values map[string]float64 `json:"values"`
}

// Summary is what Finish computes from the samples of an operation.
type Summary struct {
	Seconds        Distribution `json:"seconds"`
	BytesPerSecond float64      `json:"bytes_per_second,omitempty"` // at the median
	CPUSeconds     float64      `json:"cpu_seconds"`                // median
	PeakBytes      int64        `json:"peak_bytes"`                 // maximum
	RatioToL       float64      `json:"ratio_to_l,omitempty"`       // median over L for as many bytes
}

// Metrics a Target may speak of, beside the keys of Operation.Values.
const (
	MetricSeconds        = "seconds"             // median
	MetricRatioToL       = "ratio_to_l"          // median over L
	MetricCPUPerGiB      = "cpu_seconds_per_gib" // median processor seconds per GiB
	MetricPeakBytes      = "peak_bytes"          // largest of all samples
	MetricBytesPerSecond = "bytes_per_second"    // at the median
)

// Metrics of a ledger, in Operation.Values: the time from handing a transaction in
// until it is known to be committed, how many are committed in a second, and the
// time from a leader's end to the first commit under the next.
const (
	MetricLatencyP50      = "latency_p50_seconds"
	MetricLatencyP95      = "latency_p95_seconds"
	MetricLatencyP99      = "latency_p99_seconds"
	MetricTransactionRate = "transactions_per_second"
	MetricNextCommit      = "next_commit_seconds"
)

// Comparisons of a Target.
const (
	AtMost  = "<="
	AtLeast = ">="
)

// Target is what a metric of an operation should reach. Got and Met are filled
// in by Finish; a metric that was not measured is never met.
type Target struct {
	Metric string  `json:"metric"`
	Op     string  `json:"op"` // AtMost or AtLeast
	Want   float64 `json:"want"`
	Got    float64 `json:"got"`
	Met    bool    `json:"met"`
}

// Key identifies the operation from run to run.
func (o *Operation) Key() string {
	parts := make([]string, 0, 4)
	for _, p := range []string{o.System, o.Name, o.Data, o.Mode} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " ")
}

// Skip records that name could not be measured.
func (d *Document) Skip(name, reason string) {
	d.Skipped = append(d.Skipped, Skip{Name: name, Reason: reason})
}

// Finish computes everything that follows from the samples: the limits' medians,
// the summaries and the verdicts on targets. It may be called again after more
// samples were added.
func (d *Document) Finish() {
	d.Schema = Schema
	d.Limits.finish()
	for _, o := range d.Operations {
		o.finish(d.Limits.L)
	}
}

func (o *Operation) finish(l float64) {
	if len(o.Samples) > 0 {
		o.Summary = summarize(o.Samples, o.Bytes, l)
	}
	for i := range o.Targets {
		t := &o.Targets[i]
		got, ok := o.metric(t.Metric)
		t.Got = got
		switch t.Op {
		case AtMost:
			t.Met = ok && got <= t.Want
		case AtLeast:
			t.Met = ok && got >= t.Want
		default:
			t.Met = false
		}
	}
}

// metric returns the named figure and whether the operation has it.
func (o *Operation) metric(name string) (float64, bool) {
	if v, ok := o.Values[name]; ok {
		return v, true
	}
	s := o.Summary
	if s == nil {
		return 0, false
	}
	switch name {
	case MetricSeconds:
		return s.Seconds.P50, true
	case MetricRatioToL:
		return s.RatioToL, s.RatioToL > 0
	case MetricCPUPerGiB:
		if o.Bytes == 0 {
			return 0, false
		}
		return s.CPUSeconds * gib / float64(o.Bytes), true
	case MetricPeakBytes:
		return float64(s.PeakBytes), true
	case MetricBytesPerSecond:
		return s.BytesPerSecond, s.BytesPerSecond > 0
	default:
		return 0, false
	}
}

func summarize(samples []Sample, bytes int64, l float64) *Summary {
	seconds := make([]float64, len(samples))
	cpu := make([]float64, len(samples))
	s := &Summary{}
	for i, x := range samples {
		seconds[i], cpu[i] = x.Seconds, x.CPUSeconds
		s.PeakBytes = max(s.PeakBytes, x.PeakBytes)
	}
	s.Seconds = Distribute(seconds)
	s.CPUSeconds = Median(cpu)
	if bytes > 0 && s.Seconds.P50 > 0 {
		s.BytesPerSecond = float64(bytes) / s.Seconds.P50
		if l > 0 {
			s.RatioToL = s.Seconds.P50 / (l * float64(bytes) / gib)
		}
	}
	return s
}

// Write writes the document as indented JSON.
func (d *Document) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return fmt.Errorf("writing benchmark result: %w", err)
	}
	return nil
}

// Read reads one document and refuses any other schema.
func Read(r io.Reader) (*Document, error) {
	var d Document
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return nil, fmt.Errorf("reading benchmark result: %w", err)
	}
	if d.Schema != Schema {
		return nil, fmt.Errorf("reading benchmark result: schema is %q, this program reads %q", d.Schema, Schema)
	}
	return &d, nil
}
