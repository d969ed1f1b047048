package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/internal/records"
)

// model is a store that is too simple to be wrong.
type model struct {
	keys      map[string]map[uint64]*string // values by key and version, nil for deleted
	discarded uint64
}

func newModel() *model { return &model{keys: map[string]map[uint64]*string{}} }

func (m *model) clone() *model {
	c := &model{keys: make(map[string]map[uint64]*string, len(m.keys)), discarded: m.discarded}
	for key, versions := range m.keys {
		c.keys[key] = maps.Clone(versions)
	}
	return c
}

func (m *model) write(version uint64, changes []records.Change) {
	for i := range changes {
		key := string(changes[i].Key)
		if m.keys[key] == nil {
			m.keys[key] = map[uint64]*string{}
		}
		value := string(changes[i].Value)
		if m.keys[key][version] = &value; changes[i].Delete {
			m.keys[key][version] = nil
		}
	}
}

// get returns what a key has, as want has it, and whether that may have been
// discarded.
func (m *model) get(key string, upTo uint64) (what string, discarded bool) {
	best, found := uint64(0), false
	for version := range m.keys[key] {
		if version <= upTo && version >= best {
			best, found = version, true
		}
	}
	for version := range m.keys[key] {
		discarded = discarded || found && version > best && version <= m.discarded
	}
	if !found || m.keys[key][best] == nil {
		return "", discarded
	}
	return shown([]byte(*m.keys[key][best]), best), discarded
}

// all returns what a scan of everything finds.
func (m *model) all(prefix string) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if what, _ := m.get(key, newest); what != "" && strings.HasPrefix(key, prefix) {
			all = append(all, key+"="+what)
		}
	}
	return all
}

// random returns changes of a few keys, so that they meet.
func random(rnd *rand.Rand) []records.Change {
	changes := make([]records.Change, 1+rnd.IntN(6))
	for i := range changes {
		key := fmt.Appendf(nil, "%c%d", "ab"[rnd.IntN(2)], rnd.IntN(12))
		changes[i] = records.Change{Key: key, Value: fmt.Append(nil, rnd.IntN(1000)), Delete: rnd.IntN(4) == 0}
		if rnd.IntN(30) == 0 && !changes[i].Delete {
			changes[i].Value = append(changes[i].Value, make([]byte, 90<<10)...) // where Badger has another place for it
		}
		if changes[i].Delete {
			changes[i].Value = nil
		}
	}
	return changes
}

// run is a store beside models of it.
type run struct {
	rnd    *rand.Rand
	medium Medium
	store  records.Store
	writes int
	// models are what there was at the last Sync and after each write since.
	models []*model
}

func newRun(tb testing.TB, o Options, seed uint64) *run {
	tb.Helper()
	m := o.Medium(tb)
	return &run{rnd: rand.New(rand.NewPCG(seed, 0)), medium: m, store: m.Open(tb), models: []*model{newModel()}}
}

func (r *run) present() *model { return r.models[len(r.models)-1] }

func (r *run) synced() { r.models = r.models[len(r.models)-1:] }

func (r *run) write(tb testing.TB, version uint64) {
	tb.Helper()
	// Each write leaves a mark, by which a crash is told from one a write earlier where
	// they look alike.
	r.writes++
	changes := append(random(r.rnd), put(fmt.Sprint("write ", r.writes), ""))
	write(tb, r.store, version, changes...)
	next := r.present().clone()
	next.write(version, changes)
	r.models = append(r.models, next)
}

// step does one of the things that can be done.
func (r *run) step(tb testing.TB) {
	tb.Helper()
	switch n := r.rnd.IntN(40); {
	case n < 25:
		r.write(tb, r.present().discarded+1+uint64(r.rnd.IntN(20)))
	case n < 32:
		if err := r.store.Sync(); err != nil {
			tb.Fatal(err)
		}
		r.synced()
	case n < 34:
		m := r.present()
		m.discarded += uint64(r.rnd.IntN(10))
		r.store.Discard(m.discarded)
	case n < 36:
		prefix := "ab"[r.rnd.IntN(2):][:1]
		if err := r.store.Drop([]byte(prefix)); err != nil {
			tb.Fatal(err)
		}
		r.synced()
		maps.DeleteFunc(r.present().keys, func(key string, _ map[uint64]*string) bool { return strings.HasPrefix(key, prefix) })
	case n < 38:
		shut(tb, r.store)
		r.store = r.medium.Open(tb)
		r.synced()
		r.store.Discard(r.present().discarded)
	default:
		r.crash(tb)
	}
}

// crash checks that some prefix of the writes since the last Sync is left.
func (r *run) crash(tb testing.TB) {
	tb.Helper()
	// What may be discarded may be gone in each of them: that it may was not forgotten
	// with the writes that the crash has taken.
	discarded := r.present().discarded
	for _, m := range r.models {
		m.discarded = discarded
	}
	r.medium.Crash(tb, r.rnd)
	r.store = r.medium.Open(tb)
	got := scanned(tb, r.store, records.Range{})
	at := slices.IndexFunc(r.models, func(m *model) bool { return slices.Equal(m.all(""), got) && r.agrees(m) })
	if at < 0 {
		tb.Fatalf("after a crash there is %q, which is none of the last %d writes", got, len(r.models)-1)
	}
	r.models = []*model{r.models[at]}
	r.store.Discard(discarded)
}

// agrees reports whether the store has what a model has, in all versions.
func (r *run) agrees(m *model) bool {
	for key := range m.keys {
		for upTo := range m.discarded + 30 {
			what, discarded := m.get(key, upTo)
			value, version, err := r.store.Get([]byte(key), upTo)
			got := shown(value, version)
			if err != nil {
				got = ""
			}
			if got != what && !discarded {
				return false
			}
		}
	}
	return true
}

// check compares the store with the model.
func (r *run) check(tb testing.TB) {
	tb.Helper()
	m := r.present()
	for key := range m.keys {
		upTo := r.rnd.Uint64N(m.discarded + 30)
		if what, discarded := m.get(key, upTo); !discarded {
			want(tb, r.store, key, upTo, what)
		}
	}
	for _, prefix := range []string{"", "a", "b1"} {
		got, want := scanned(tb, r.store, records.Range{Prefix: []byte(prefix)}), m.all(prefix)
		if !slices.Equal(got, want) {
			tb.Errorf("prefix %q has %q, want %q", prefix, got, want)
		}
		slices.Reverse(want)
		if got := scanned(tb, r.store, records.Range{Prefix: []byte(prefix), Reverse: true}); !slices.Equal(got, want) {
			tb.Errorf("prefix %q backwards has %q, want %q", prefix, got, want)
		}
	}
}

// testModel compares a store with a model, through whatever can be done to it.
func testModel(t *testing.T, o Options) {
	t.Helper()
	for seed := range uint64(o.Runs) {
		r := newRun(t, o, seed)
		for step := range 80 {
			r.step(t)
			if r.check(t); t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
		shut(t, r.store)
	}
}

// testCrash has a machine lose power with writes that were not synced.
func testCrash(t *testing.T, o Options) {
	t.Helper()
	for seed := range uint64(o.Runs) {
		r := newRun(t, o, seed)
		for version := range uint64(12) {
			r.write(t, version+1)
			if version == 5 {
				if err := r.store.Sync(); err != nil {
					t.Fatal(err)
				}
				r.synced()
			}
		}
		for range 3 {
			r.crash(t)
			if r.check(t); t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			r.write(t, r.present().discarded+20)
		}
		shut(t, r.store)
	}
}
