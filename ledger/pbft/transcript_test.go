package pbft

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/decube/decube/ledger/quorum"
)

// TestTranscripts runs the transcripts in testdata: commands to a committee in
// memory, each followed by what its replicas do. `go test -run Transcripts
// -rewrite` writes down what they do now. Every transcript also has its witness
// (see witness): that no honest replica contradicts itself, that no two honest
// chains fork, and that evidence is proof, and of the guilty.
//
// Blocks have short names: the sequence number and a letter. A vote is printed as
// PHASE epoch/view/sequence:block. The commands:
//
//	cluster [n= window= interval= resend= idle= sync=]   a new committee; all say STATUS
//	build R [N] [bad] [last]          leader R proposes N blocks that it was asked for
//	deliver [FILTER] [limit=N] [quiet]  hands messages over, and those that follow from them
//	drop [FILTER]                     loses messages; FILTER is from= to= kind= seq= view= block=
//	replay [FILTER]                   puts messages that were sent once back under way
//	pending                           what is under way
//	tick R... [n=N] [waiting [since=N] [requests=N]] [quiet]  N ticks of time, with requests waiting or not
//	hold checks|stored, go on         whether the driver answers at once
//	check R [block=B] [invalid]       the driver's verdict on the blocks that it was asked about
//	stored R seq=S                    the driver has stored the chain up to S
//	crash R... [before=N]             at once, or before record N from now is persisted
//	restart R... [recovering] [records=N]  from all its records, or only the first N
//	epoch R...                        the driver goes on to the next epoch
//	wipe R...                         the disk is lost
//	sync R from=R2                    the driver of R fetches the chain of R2
//	block B on=P [bad] [last] [time=T]  a block that only a Byzantine leader proposes
//	say R ... [to=]                   a signed message of a Byzantine replica, see say
//	status [R...]                     how far replicas are
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		if filepath.Ext(path) != ".txt" {
			t.Skip("not a transcript")
		}
		tr := &transcript{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			return tr.run(t, d)
		})
		if tr.cluster != nil {
			tr.witness.finish(t, tr.cluster)
		}
	})
}

// transcript is the state of one file.
type transcript struct {
	*cluster
	witness *witness
	names   map[Digest]string
	blocks  map[string]Header
	sent    []parcel
	lines   []string
}

// shortDigest is how messages print a block.
var shortDigest = regexp.MustCompile(`\b[0-9a-f]{8}\b`)

func (tr *transcript) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	commands := map[string]func(*testing.T, *datadriven.TestData){
		"cluster": tr.newCluster, "build": tr.build, "deliver": tr.deliver, "drop": tr.drop, "replay": tr.replay,
		"pending": tr.pending, "tick": tr.tick, "hold": tr.holdBack, "go": tr.holdBack, "check": tr.check, "stored": tr.stored,
		"crash": tr.crash, "restart": tr.restart, "wipe": tr.wipe, "sync": tr.sync, "block": tr.block, "say": tr.say,
		"status": tr.status, "epoch": tr.nextEpoch,
	}
	command := commands[d.Cmd]
	if command == nil {
		d.Fatalf(t, "unknown command %q", d.Cmd)
	}
	tr.lines = nil
	command(t, d)
	lines := tr.lines
	if d.HasArg("quiet") {
		lines = summary(lines)
	}
	if len(lines) == 0 {
		return "ok\n"
	}
	named := map[string]string{}
	for digest, name := range tr.names {
		named[digest.Short()] = name
	}
	return shortDigest.ReplaceAllStringFunc(strings.Join(lines, "\n"), func(s string) string {
		if name, ok := named[s]; ok {
			return name
		}
		return s
	}) + "\n"
}

// printf adds a line. What replicas note of their ordinary work is left out:
// their records say it.
func (tr *transcript) printf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !strings.Contains(line, "notes accepted") && !strings.Contains(line, "notes prepared") {
		tr.lines = append(tr.lines, line)
	}
}

// under adds a heading, and takes it back when nothing follows.
func (tr *transcript) under(heading string, do func()) {
	tr.lines = append(tr.lines, heading)
	before := len(tr.lines)
	do()
	if len(tr.lines) == before {
		tr.lines = tr.lines[:before-1]
	}
}

var effect = regexp.MustCompile(`^  (\d+) (.*)$`)

// summary joins what several replicas do, and leaves out headings, records and
// messages.
func summary(lines []string) []string {
	who := map[string][]string{}
	var what []string
	for _, l := range lines {
		m := effect.FindStringSubmatch(l)
		if m == nil || strings.HasPrefix(m[2], "persists") || strings.HasPrefix(m[2], "sends") || strings.HasPrefix(m[2], "notes view change") {
			continue
		}
		if who[m[2]] == nil {
			what = append(what, m[2])
		}
		if !slices.Contains(who[m[2]], m[1]) {
			who[m[2]] = append(who[m[2]], m[1])
		}
	}
	out := make([]string, 0, len(what))
	for _, w := range what {
		slices.Sort(who[w])
		out = append(out, fmt.Sprintf("  %s %s", strings.Join(who[w], ","), w))
	}
	return out
}

// newCluster makes a committee that repeats nothing by itself unless told to.
func (tr *transcript) newCluster(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	if tr.cluster != nil {
		tr.witness.finish(t, tr.cluster)
	}
	cfg := testConfig()
	cfg.PreprepareTimeout, cfg.PrepareTimeout, cfg.CommitTimeout, cfg.MaxTimeout = 10, 10, 10, 1000
	cfg.CensorTimeout, cfg.FloorPeriod, cfg.ForwardAfter = 10_000, 10_000, 10_000
	cfg.ResendInterval = number(t, d, "resend", 10_000)
	cfg.IdleStatus = number(t, d, "idle", 10_000)
	cfg.SyncDelay = number(t, d, "sync", cfg.SyncDelay)
	cfg.Window = number(t, d, "window", cfg.Window)
	cfg.CheckpointInterval = number(t, d, "interval", cfg.CheckpointInterval)
	cfg.FloorPeriod = number(t, d, "floor", cfg.FloorPeriod)
	cfg.CensorTimeout = number(t, d, "censor", cfg.CensorTimeout)
	tr.cluster = newCluster(t, int(number(t, d, "n", 4)), cfg)
	tr.names = map[Digest]string{tr.genesis.Digest(): "genesis"}
	tr.blocks = map[string]Header{"genesis": tr.genesis}
	tr.witness, tr.sent = newWitness(tr.cluster), nil
	tr.cluster.watch = tr.witness.sent
	tr.cluster.deliver(-1, all)
	tr.cluster.log = tr.printf
}

// name gives a block the next free name of its sequence number.
func (tr *transcript) name(h *Header) string {
	for letter := 'a'; ; letter++ {
		name := fmt.Sprintf("%d%c", h.Seq, letter)
		if _, taken := tr.blocks[name]; !taken {
			tr.names[h.Digest()] = name
			tr.blocks[name] = *h
			return name
		}
	}
}

func (tr *transcript) build(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	numbers := replicas(t, d)
	nd, times := tr.nodes[numbers[0]], 1
	if len(numbers) > 1 {
		times = int(numbers[1])
	}
	for range times {
		b := nd.offer
		if b == nil {
			tr.printf("  %d is not asked for a block", nd.id)
			return
		}
		nd.offer = nil
		nd.serial++
		h := Header{Epoch: tr.epoch, Seq: b.Seq, Parent: b.Parent, Time: 1, Count: 1, State: Digest{2, byte(nd.id), byte(nd.serial)}, Committee: tr.first.Following()}
		if d.HasArg("bad") {
			h.State = Digest{0xbd}
		}
		if d.HasArg("last") {
			h.Next = Digest{0x77}
		}
		tr.name(&h)
		tr.step(nd, Built{View: b.View, Header: h})
	}
}

func (tr *transcript) deliver(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	match := filter(t, d)
	left := int(number(t, d, "limit", 10_000))
	tr.note()
	done := 0
	for ; left > 0; left-- {
		at := slices.IndexFunc(tr.queue, match)
		if at < 0 {
			break
		}
		p := tr.queue[at]
		tr.queue = slices.Delete(tr.queue, at, at+1)
		tr.under(fmt.Sprintf("%d>%d %v", p.from, p.to, p.message), func() { tr.hand(p) })
		tr.note()
		done++
	}
	if done == 0 {
		tr.printf("  nothing to deliver")
	}
}

// note remembers what is under way, for replays.
func (tr *transcript) note() {
	for _, p := range tr.queue {
		if !slices.Contains(tr.sent, p) {
			tr.sent = append(tr.sent, p)
		}
	}
}

func (tr *transcript) drop(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	tr.note()
	tr.printf("  %d lost", tr.cluster.drop(filter(t, d)))
}

func (tr *transcript) replay(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	tr.note()
	match := filter(t, d)
	for _, p := range tr.sent {
		if match(p) && !slices.Contains(tr.queue, p) {
			tr.queue = append(tr.queue, p)
			tr.printf("  %d>%d %v", p.from, p.to, p.message)
		}
	}
}

func (tr *transcript) pending(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	match := filter(t, d)
	for _, p := range tr.queue {
		if match(p) {
			tr.printf("  %d>%d %v", p.from, p.to, p.message)
		}
	}
}

// filter reads which messages are meant.
func filter(t *testing.T, d *datadriven.TestData) func(parcel) bool {
	t.Helper()
	want := map[string][]string{}
	for _, a := range d.CmdArgs {
		if len(a.Vals) > 0 {
			want[a.Key] = a.Vals
		}
	}
	is := func(key, value string) bool { return want[key] == nil || slices.Contains(want[key], value) }
	return func(p parcel) bool {
		kind, view, seq := describe(p.message)
		return is("from", text(p.from)) && is("to", text(p.to)) && is("kind", kind) && is("view", text(view)) && is("seq", text(seq))
	}
}

// describe returns a message's kind, view and sequence number, 0 where it has none.
func describe(m Message) (kind string, view, seq uint64) {
	switch m := m.(type) {
	case *Vote:
		return strings.ToLower(m.Phase.String()), m.View, m.Seq
	case *Proposal:
		return "pre-prepare", m.View, m.Header.Seq
	case *Decision:
		return "decision", m.Cert.View, m.Header.Seq
	case *Certified:
		return "certified", 0, m.Cert.Seq
	case *ViewChange:
		return "view-change", m.View, 0
	case *NewView:
		return "new-view", m.View, 0
	case *Status:
		return "status", m.View, 0
	default:
		return fmt.Sprintf("%T", m), 0, 0
	}
}

func text[T ~uint16 | ~uint64](v T) string { return strconv.FormatUint(uint64(v), 10) }

// number reads key=N.
func number(t *testing.T, d *datadriven.TestData, key string, standard uint64) uint64 {
	t.Helper()
	if d.HasArg(key) {
		d.ScanArgs(t, key, &standard)
	}
	return standard
}

// replicas reads the numbers among the arguments.
func replicas(t *testing.T, d *datadriven.TestData) []quorum.Replica {
	t.Helper()
	var out []quorum.Replica
	for _, a := range d.CmdArgs {
		if v, err := strconv.ParseUint(a.Key, 10, 16); err == nil {
			out = append(out, quorum.Replica(v))
		}
	}
	return out
}

func (tr *transcript) status(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	which := replicas(t, d)
	for _, nd := range tr.nodes {
		if len(which) > 0 && !slices.Contains(which, nd.id) {
			continue
		}
		if nd.down {
			tr.printf("  %d is down", nd.id)
			continue
		}
		view, in := nd.View()
		state := fmt.Sprintf("in view %d", view)
		if !in {
			state = fmt.Sprintf("wants view %d", view)
		}
		if !nd.voting() {
			state += ", recovering"
		}
		if nd.halted != nil {
			state += ", halted"
		}
		locked := make([]string, 0, len(nd.locks))
		for _, seq := range slices.Sorted(maps.Keys(nd.locks)) {
			locked = append(locked, fmt.Sprintf("%s@%d", nd.locks[seq].Cert.Digest.Short(), nd.locks[seq].Cert.View))
		}
		tr.printf("  %d %s: committed %d, stable %d, limit %d, locks [%s]", nd.id, state, nd.Committed(), nd.Stable(), nd.limit(), strings.Join(locked, " "))
	}
}
