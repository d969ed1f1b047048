package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

// Names of the limits, as they appear in Limits.Figures.
const (
	LimitHash       = "sha256, one core"
	LimitHashWrite  = "write, direct, hashed, fsync" // L comes from this one
	LimitWrite      = "write, direct, fsync"
	LimitBuffered   = "write, buffered, fsync"
	LimitReadCold   = "read, cold"
	LimitReadWarm   = "read, warm"
	LimitSyncWrites = "write 4 KiB, synchronous"
	LimitLoopback   = "loopback, one TCP stream"
	LimitSign       = "ed25519 sign, one core"
	LimitVerify     = "ed25519 verify one by one, one core"
)

// Units of limits.
const (
	unitRate  = "bytes/s"
	unitPer   = "s/GiB"
	unitTimes = "1/s"
)

// Limits is what the machine allowed during the run.
type Limits struct {
	Bytes   int64    `json:"bytes"`             // moved by each disk figure
	Direct  bool     `json:"direct"`            // false where direct I/O was refused
	L       float64  `json:"l_seconds_per_gib"` // median of LimitHashWrite
	Figures []Figure `json:"figures"`
}

// Figure is one limit.
type Figure struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Samples []float64 `json:"samples"`
	Median  float64   `json:"median"`
}

// LimitOptions says how limits are measured.
type LimitOptions struct {
	Dir     string // scratch files go here; it must exist
	Bytes   int64  // moved by each disk figure; at least 1 MiB is used
	Repeats int    // samples per figure, at least 1
}

// MeasureLimits measures every limit. With 1 GiB and three repeats it takes
// about 12 seconds on a machine with L = 0.9.
func MeasureLimits(ctx context.Context, o LimitOptions) (Limits, error) {
	l := Limits{}
	p, err := newProbe(o)
	if err != nil {
		return l, err
	}
	defer p.close()
	l.Bytes = p.bytes
	steps := []struct {
		name, unit string
		measure    func() (float64, error)
	}{
		{LimitHash, unitRate, p.hash},
		{LimitHashWrite, unitPer, func() (float64, error) { return p.directWrite(true) }},
		{LimitWrite, unitPer, func() (float64, error) { return p.directWrite(false) }},
		{LimitReadCold, unitPer, func() (float64, error) { return p.read(true) }},
		{LimitReadWarm, unitPer, func() (float64, error) { return p.read(false) }},
		{LimitBuffered, unitPer, p.bufferedWrite},
		{LimitSyncWrites, unitTimes, p.syncWrites},
		{LimitLoopback, unitRate, func() (float64, error) { return loopback(ctx, p.source, p.bytes/2) }},
		{LimitSign, unitTimes, signatures},
		{LimitVerify, unitTimes, verifications},
	}
	for _, s := range steps {
		for range p.repeats {
			if err := ctx.Err(); err != nil {
				return l, err
			}
			v, err := s.measure()
			if err != nil {
				return l, fmt.Errorf("measuring the limit %q: %w", s.name, err)
			}
			l.add(s.name, s.unit, v)
		}
	}
	l.Direct = p.direct
	l.finish()
	return l, nil
}

// Again measures only L, once more, and adds the samples: a disk shared with
// others drifts during a long run.
func (l *Limits) Again(ctx context.Context, o LimitOptions) error {
	p, err := newProbe(o)
	if err != nil {
		return err
	}
	defer p.close()
	for range p.repeats {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := p.directWrite(true)
		if err != nil {
			return fmt.Errorf("measuring the limit %q again: %w", LimitHashWrite, err)
		}
		l.add(LimitHashWrite, unitPer, v)
	}
	l.finish()
	return nil
}

// Get returns the named figure, which is zero when it was not measured.
func (l *Limits) Get(name string) Figure {
	for _, f := range l.Figures {
		if f.Name == name {
			return f
		}
	}
	return Figure{Name: name}
}

func (l *Limits) add(name, unit string, sample float64) {
	for i := range l.Figures {
		if l.Figures[i].Name == name {
			l.Figures[i].Samples = append(l.Figures[i].Samples, sample)
			return
		}
	}
	l.Figures = append(l.Figures, Figure{Name: name, Unit: unit, Samples: []float64{sample}})
}

func (l *Limits) finish() {
	for i := range l.Figures {
		l.Figures[i].Median = Median(l.Figures[i].Samples)
	}
	l.L = l.Get(LimitHashWrite).Median
}

const (
	probeBlock  = 4 * mib  // one direct write
	probeSource = 64 * mib // random bytes that are written over and over: more than a cache holds
)

// probe holds what the limits share: random bytes and one scratch file.
type probe struct {
	path    string
	bytes   int64
	repeats int
	source  []byte
	release func() error
	direct  bool
}

func newProbe(o LimitOptions) (*probe, error) {
	f, err := os.CreateTemp(o.Dir, "limit-")
	if err != nil {
		return nil, fmt.Errorf("measuring limits: %w", err)
	}
	p := &probe{path: f.Name(), bytes: max(o.Bytes, mib) / mib * mib, repeats: max(o.Repeats, 1)}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("measuring limits: %w", err)
	}
	if p.source, p.release, err = alignedBuffer(probeSource); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(Random(1), p.source); err != nil {
		return nil, fmt.Errorf("measuring limits: %w", err)
	}
	return p, nil
}

func (p *probe) close() {
	// The result stands whether or not scratch space could be returned.
	_ = os.Remove(p.path)
	_ = p.release()
}

// blocks yields the source's blocks until p.bytes are through.
func (p *probe) blocks(yield func([]byte) bool) {
	for done := int64(0); done < p.bytes; done += probeBlock {
		n := min(probeBlock, p.bytes-done)
		at := done % probeSource
		if !yield(p.source[at : at+n]) {
			return
		}
	}
}

func (p *probe) perGiB(d time.Duration) float64 { return d.Seconds() * gib / float64(p.bytes) }

func (p *probe) hash() (float64, error) {
	started := time.Now()
	var sum [sha256.Size]byte
	for b := range p.blocks {
		sum = sha256.Sum256(b)
	}
	d := time.Since(started)
	if sum == [sha256.Size]byte{} {
		return 0, fmt.Errorf("a hash of %d bytes is zero", p.bytes)
	}
	return float64(p.bytes) / d.Seconds(), nil
}
