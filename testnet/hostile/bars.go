package hostile

import (
	"fmt"
	"time"
)

// Bars are how much worse others may fare.
type Bars struct {
	// Lost is the part of the throughput of a fetch that may be lost during an attack, and
	// Protected the same of what a peer with a role gets; 1 is all of it.
	Lost      float64 `json:"lost"`
	Protected float64 `json:"protected"`
	// Newcomer is how long a new peer may take to connect and fetch.
	Newcomer time.Duration `json:"newcomer"`
	// Head is how long a peer may take to be told how far the ledger is.
	Head time.Duration `json:"head"`
	// Decide is how long the committee may take to decide on a transaction.
	Decide time.Duration `json:"decide"`
	// Memory is how much more the victim may take, in bytes.
	Memory int64 `json:"memory"`
	// Log is how much the victim may log during an attack, in bytes.
	Log int64 `json:"log"`
	// Trapped is how often the victim may be led to its own network's addresses.
	Trapped int64 `json:"trapped"`
	// Back is what must be as it was once Settle has passed.
	Back   Back          `json:"back"`
	Settle time.Duration `json:"settle"`
}

// Back bounds what may be left of an attack.
type Back struct {
	Lost        float64 `json:"lost"`        // part of the throughput
	Memory      int64   `json:"memory"`      // bytes more than before
	Goroutines  int64   `json:"goroutines"`  // more than before
	Descriptors int64   `json:"descriptors"` // more than before
}

// DefaultBars are those of docs/hostile.md for a crowd of few, of at most [Few] identities. What must be back leaves room for what a
// short fetch varies by on a busy machine, and for connections that are not trimmed yet.
func DefaultBars() Bars {
	return Bars{
		Lost:      0.5,
		Protected: 0.5,
		Newcomer:  5 * time.Second,
		Head:      5 * time.Second,
		Decide:    5 * time.Second,
		Memory:    300 << 20,
		Log:       1 << 20,
		Settle:    30 * time.Second,
		Back:      Back{Lost: 0.5, Memory: 150 << 20, Goroutines: 200, Descriptors: 32},
	}
}

// Few is the most identities that DefaultBars are meant for.
const Few = 64

// ManyBars are those for a crowd from hundreds of networks. What strangers get of a peer is
// shared with that crowd, so that nothing is asked of it but that who comes gets in; who has a
// role keeps half of what it had, and the process lives, below what the collector is told.
// Afterwards all is as with few.
func ManyBars() Bars {
	b := DefaultBars()
	b.Lost = 1
	b.Newcomer, b.Head = time.Minute, time.Minute
	b.Memory = 1536 << 20
	return b
}

// State is what a victim takes at one moment, or at most over a time.
type State struct {
	Resident    int64 `json:"resident_bytes"`
	Group       int64 `json:"group_bytes,omitempty"` // of its control group without files' pages; 0 without one
	Goroutines  int64 `json:"goroutines"`            // 0 when it did not say
	Descriptors int64 `json:"descriptors"`
	Log         int64 `json:"log_bytes"`
}

// memory is what the bars are about: what cannot be taken back by the kernel.
func (s State) memory() int64 { return max(s.Resident, s.Group) }

// most returns the larger of each.
func (s State) most(t State) State {
	return State{
		Resident: max(s.Resident, t.Resident), Group: max(s.Group, t.Group), Goroutines: max(s.Goroutines, t.Goroutines),
		Descriptors: max(s.Descriptors, t.Descriptors), Log: max(s.Log, t.Log),
	}
}

// Figures are what was measured at one point of an attack.
type Figures struct {
	Serve Rate `json:"serve"` // the taker fetches from the victim
	Fetch Rate `json:"fetch"` // the victim fetches from the giver
	// Protected is serve for a peer with a role: the member, which the victim's settings
	// name as a bootstrap peer.
	Protected Rate          `json:"protected"`
	Newcomer  Time          `json:"newcomer"`         // a new peer connects to the victim and fetches
	Head      *Time         `json:"head,omitempty"`   // a peer asks how far the ledger is; nil without a ledger
	Decide    *Time         `json:"decide,omitempty"` // a transaction of the member's is decided; nil without a committee
	Idle      State         `json:"idle"`             // of the victim, before the rest was measured
	Peak      State         `json:"peak"`             // the most of it, to the end of the measurement or of the attack
	Took      time.Duration `json:"took"`
}

// Rate is a throughput in bytes a second, 0 where nothing was done in time.
type Rate struct {
	Rate float64 `json:"rate"`
	Err  string  `json:"err,omitempty"`
}

// Time is how long something took, or for how long it was tried.
type Time struct {
	Took time.Duration `json:"took"`
	Err  string        `json:"err,omitempty"`
}

// Result is what became of one attack.
type Result struct {
	Attack     string           `json:"attack"`
	About      string           `json:"about"`
	Identities int              `json:"identities"`
	Addresses  int              `json:"addresses"`
	Seconds    float64          `json:"seconds"` // that the attack went on
	Counts     map[string]int64 `json:"counts"`  // what the attackers did, and were refused
	Before     Figures          `json:"before"`
	During     Figures          `json:"during"`
	After      Figures          `json:"after"`
	Trapped    int64            `json:"trapped"`
	Died       string           `json:"died,omitempty"`   // how the daemon ended; empty while it lives
	Failed     string           `json:"failed,omitempty"` // why the attack could not be made
	Missed     []string         `json:"missed"`           // bars, in words
}

// Judge returns the bars that a result misses.
func (b Bars) Judge(r Result) []string {
	missed := []string{}
	miss := func(format string, args ...any) { missed = append(missed, fmt.Sprintf(format, args...)) }
	if r.Died != "" {
		miss("the daemon died: %s", r.Died)
	}
	for _, rate := range []struct {
		what                  string
		before, during, after Rate
		most                  float64
	}{
		{"serving", r.Before.Serve, r.During.Serve, r.After.Serve, b.Lost},
		{"fetching", r.Before.Fetch, r.During.Fetch, r.After.Fetch, b.Lost},
		{"serving a member", r.Before.Protected, r.During.Protected, r.After.Protected, b.Protected},
	} {
		if lost := lost(rate.before, rate.during); lost > rate.most {
			miss("%s lost %.0f %%", rate.what, 100*lost)
		}
		if lost := lost(rate.before, rate.after); lost > b.Back.Lost {
			miss("%s is %.0f %% below what it was, %s after", rate.what, 100*lost, b.Settle)
		}
	}
	for _, at := range []struct {
		when string
		Figures
	}{{"", r.During}, {fmt.Sprintf(", %s after", b.Settle), r.After}} {
		late(miss, "a newcomer", at.when, at.Newcomer, b.Newcomer)
		if at.Head != nil {
			late(miss, "asking for the ledger's head", at.when, *at.Head, b.Head)
		}
		if at.Decide != nil {
			late(miss, "deciding on a transaction", at.when, *at.Decide, b.Decide)
		}
	}
	if more := r.During.Peak.memory() - r.Before.Peak.memory(); more > b.Memory {
		miss("%d MiB more memory", more>>20)
	}
	if more := r.During.Peak.Log - r.During.Idle.Log; more > b.Log {
		miss("%d KiB logged", more>>10)
	}
	if r.Trapped > b.Trapped {
		miss("led %d times to its own network", r.Trapped)
	}
	if r.Died == "" {
		b.back(miss, r)
	}
	return missed
}

// slow reports whether a fetch was not as fast as it has to be, where so much may be lost by
// others and by a peer with a role.
func (f Figures) slow(before Figures, most, ofProtected float64) bool {
	return lost(before.Serve, f.Serve) > most || lost(before.Fetch, f.Fetch) > most || lost(before.Protected, f.Protected) > ofProtected
}

// better returns the figures with the better rates of two measurements.
func (f Figures) better(again Figures) Figures {
	if again.Serve.Rate > f.Serve.Rate {
		f.Serve = again.Serve
	}
	if again.Fetch.Rate > f.Fetch.Rate {
		f.Fetch = again.Fetch
	}
	if again.Protected.Rate > f.Protected.Rate {
		f.Protected = again.Protected
	}
	f.Peak, f.Took = f.Peak.most(again.Peak), f.Took+again.Took
	return f
}

// back looks at what is left of an attack.
func (b Bars) back(miss func(string, ...any), r Result) {
	before, after := r.Before.Idle, r.After.Idle
	if more := after.memory() - r.Before.Peak.memory(); more > b.Back.Memory {
		miss("%d MiB are not given back %s after", more>>20, b.Settle)
	}
	if more := after.Goroutines - before.Goroutines; more > b.Back.Goroutines {
		miss("%d goroutines are left %s after", more, b.Settle)
	}
	if more := after.Descriptors - before.Descriptors; more > b.Back.Descriptors {
		miss("%d descriptors are left %s after", more, b.Settle)
	}
}

func late(miss func(string, ...any), what, when string, t Time, most time.Duration) {
	switch {
	case t.Err != "":
		miss("%s failed%s: %s", what, when, t.Err)
	case t.Took > most:
		miss("%s took %.1f s%s", what, t.Took.Seconds(), when)
	}
}

// lost returns the part of a throughput that is gone.
func lost(before, now Rate) float64 {
	if before.Rate <= 0 {
		return 0
	}
	return 1 - now.Rate/before.Rate
}
