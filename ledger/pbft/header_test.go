package pbft

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestHeaderString(t *testing.T) {
	h := Header{Epoch: 2, Seq: 7}
	d := h.Digest()
	if got, want := h.String(), "2/7:"+d.String()[:8]; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Each field is part of the digest.
func TestDigestCoversTheHeader(t *testing.T) {
	seen := map[Digest]int{}
	for i, h := range []Header{
		{}, {Epoch: 1}, {Seq: 1}, {Parent: Digest{1}}, {Time: 1}, {Time: -1}, {Count: 1}, {Body: Digest{1}}, {State: Digest{1}}, {Next: Digest{1}},
	} {
		if before, ok := seen[h.Digest()]; ok {
			t.Errorf("headers %d and %d have one digest", before, i)
		}
		seen[h.Digest()] = i
	}
}

func FuzzParseHeader(f *testing.F) {
	h := Header{Epoch: 1, Seq: 2, Parent: Digest{3}, Time: -4, Count: 5, Body: Digest{6}, State: Digest{7}, Next: Digest{8}, Committee: Digest{9}}
	f.Add(h.AppendTo(nil))
	f.Add(make([]byte, HeaderSize))
	f.Add(make([]byte, HeaderSize-1))
	f.Add(bytes.Repeat([]byte{0xff}, HeaderSize+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if len(b) != HeaderSize {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%d bytes: %v, want ErrMalformed", len(b), err)
			}
			return
		}
		if err != nil || !bytes.Equal(h.AppendTo(nil), b) {
			t.Errorf("ParseHeader(%x) = %+v, %v: not the same when written", b, h, err)
		}
	})
}

// A signature over one statement says nothing about any other: each field that
// matters is in it, and each kind has its domain.
func TestStatementsDiffer(t *testing.T) {
	a, b := Digest{1}, Digest{2}
	lock := func(view, seq uint64, d Digest) Lock {
		return Lock{Cert: Certificate{Subject: Subject{View: view, Seq: seq, Digest: d}}}
	}
	change := func(c ViewChange) *ViewChange { return &c }
	statements := map[string][]byte{
		"vote":                        Subject{Phase: Prepare}.Statement(a),
		"vote, cluster":               Subject{Phase: Prepare}.Statement(b),
		"vote, phase":                 Subject{Phase: Commit}.Statement(a),
		"vote, epoch":                 Subject{Phase: Prepare, Epoch: 1}.Statement(a),
		"vote, view":                  Subject{Phase: Prepare, View: 1}.Statement(a),
		"vote, seq":                   Subject{Phase: Prepare, Seq: 1}.Statement(a),
		"vote, digest":                Subject{Phase: Prepare, Digest: a}.Statement(a),
		"vote, state":                 Subject{Phase: Prepare, State: a}.Statement(a),
		"view change":                 change(ViewChange{}).Statement(a),
		"view change, cluster":        change(ViewChange{}).Statement(b),
		"view change, epoch":          change(ViewChange{Epoch: 1}).Statement(a),
		"view change, view":           change(ViewChange{View: 1}).Statement(a),
		"view change, base":           change(ViewChange{Base: Certificate{Subject: Subject{Seq: 1}}}).Statement(a),
		"view change, base's digest":  change(ViewChange{Base: Certificate{Subject: Subject{Digest: a}}}).Statement(a),
		"view change, lock":           change(ViewChange{Locks: []Lock{lock(0, 1, a)}}).Statement(a),
		"view change, lock's view":    change(ViewChange{Locks: []Lock{lock(1, 1, a)}}).Statement(a),
		"view change, lock's seq":     change(ViewChange{Locks: []Lock{lock(0, 2, a)}}).Statement(a),
		"view change, lock's digest":  change(ViewChange{Locks: []Lock{lock(0, 1, b)}}).Statement(a),
		"view change, two locks":      change(ViewChange{Locks: []Lock{lock(0, 1, a), lock(0, 2, a)}}).Statement(a),
		"new view":                    (&NewView{}).Statement(a),
		"new view, epoch":             (&NewView{Epoch: 1}).Statement(a),
		"new view, view":              (&NewView{View: 1}).Statement(a),
		"new view, change":            (&NewView{Changes: []*ViewChange{{}}}).Statement(a),
		"new view, change's replica":  (&NewView{Changes: []*ViewChange{{Replica: 1}}}).Statement(a),
		"new view, change's contents": (&NewView{Changes: []*ViewChange{{View: 1}}}).Statement(a),
		"new view, proposal":          (&NewView{Proposals: []*Proposal{{}}}).Statement(a),
		"new view, another proposal":  (&NewView{Proposals: []*Proposal{{Header: Header{Seq: 1}}}}).Statement(a),
		"status":                      (&Status{}).Statement(a),
		"status, cluster":             (&Status{}).Statement(b),
		"status, epoch":               (&Status{Epoch: 1}).Statement(a),
		"status, view":                (&Status{View: 1}).Statement(a),
		"status, changing":            (&Status{Changing: true}).Statement(a),
		"status, committed":           (&Status{Committed: 1}).Statement(a),
		"status, stable":              (&Status{Stable: 1}).Statement(a),
		"status, replica":             (&Status{Replica: 1}).Statement(a),
	}
	seen := map[string]string{}
	for name, s := range statements {
		if before, ok := seen[string(s)]; ok {
			t.Errorf("%q and %q are one statement", name, before)
		}
		seen[string(s)] = name
	}
}

func TestConfigBounds(t *testing.T) {
	if c := Default(); c.Validate() != nil {
		t.Fatalf("the default: %v", c.Validate())
	}
	for name, c := range map[string]struct {
		change func(c *Config)
		want   string // in the error
	}{
		"no window":                    {func(c *Config) { c.Window = 0 }, "window of 0"},
		"a window beyond the bound":    {func(c *Config) { c.Window = MaxWindow + 1 }, "window of 65"},
		"checkpoints below the window": {func(c *Config) { c.CheckpointInterval = c.Window - 1 }, "checkpoint interval of 7"},
		"no pre-prepare timeout":       {func(c *Config) { c.PreprepareTimeout = 0 }, "timeouts"},
		"no prepare timeout":           {func(c *Config) { c.PrepareTimeout = 0 }, "timeouts"},
		"no commit timeout":            {func(c *Config) { c.CommitTimeout = 0 }, "timeouts"},
		"a bound below the timeouts":   {func(c *Config) { c.MaxTimeout = c.CommitTimeout - 1 }, "timeouts"},
		"no forwarding":                {func(c *Config) { c.ForwardAfter = 0 }, "intervals"},
		"no patience with requests":    {func(c *Config) { c.CensorTimeout = 0 }, "intervals"},
		"no period":                    {func(c *Config) { c.FloorPeriod = 0 }, "intervals"},
		"no divisor":                   {func(c *Config) { c.FloorDivisor = 0 }, "intervals"},
		"no repeating":                 {func(c *Config) { c.ResendInterval = 0 }, "intervals"},
		"no status":                    {func(c *Config) { c.IdleStatus = 0 }, "intervals"},
		"no delay":                     {func(c *Config) { c.SyncDelay = 0 }, "intervals"},
	} {
		cfg := Default()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error about %s", name, err, c.want)
		}
		if _, _, err := New(cfg, Start{}, Resume{}); err == nil {
			t.Errorf("%s: New takes it", name)
		}
	}
}
