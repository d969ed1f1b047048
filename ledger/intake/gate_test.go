package intake_test

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// regular is an owner whom the ledger has known for long.
var regular = key(500)

func newGate(validators int) *intake.Gate {
	g := intake.NewGate(func(owner sig.PublicKey) bool { return owner == regular })
	g.SetValidators(keys(validators))
	return g
}

// at returns an address by its network and its number there.
func at(network, host byte) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, network, host}) }

// ofRegular returns a transaction of a known owner.
func ofRegular(tb rapid.TB, nonce uint64, size int) *tx.Transaction {
	tb.Helper()
	return make1(tb, regular, nonce, tx.RecordPut{Key: "k", Value: make([]byte, size)})
}

func TestStrangersPayByNetwork(t *testing.T) {
	g := newGate(4)
	submit := func(now time.Duration, from intake.Source, size int) error {
		return g.Submit(now, from, 0, put(t, 0, size))
	}
	for i := range intake.StrangerSignatures {
		wantCode(t, submit(0, intake.Client(at(1, byte(i))), 10), tx.CodeOK)
	}
	wantCode(t, submit(0, intake.Client(at(1, 99)), 10), tx.CodeQueueFull) // another address, the same network
	wantCode(t, submit(0, intake.Client(at(2, 1)), 10), tx.CodeOK)
	wantCode(t, submit(0, intake.Follower(at(1, 1)), 10), tx.CodeOK) // followers have room of their own
	// A signature is paid for after half a second, and nothing is lost by asking before.
	wantCode(t, submit(499*ms, intake.Client(at(1, 1)), 10), tx.CodeQueueFull)
	wantCode(t, submit(500*ms, intake.Client(at(1, 1)), 10), tx.CodeOK)
	wantCode(t, submit(500*ms, intake.Client(at(1, 1)), 10), tx.CodeQueueFull)
	// The largest of transactions passes a whole budget, and takes all of it.
	wantCode(t, submit(0, intake.Client(at(3, 1)), tx.MaxValue), tx.CodeOK)
	wantCode(t, submit(0, intake.Client(at(3, 1)), 10), tx.CodeQueueFull)
	wantCode(t, submit(intake.StrangerPeriod+time.Second, intake.Client(at(3, 1)), 10), tx.CodeOK)
	// Who is known pays nothing, nor do this machine's programs.
	for i := range uint64(100) {
		wantCode(t, g.Submit(0, intake.Client(at(1, 1)), 0, ofRegular(t, i, 10)), tx.CodeOK)
		wantCode(t, submit(0, intake.Client(netip.MustParseAddr("127.0.0.1")), 10), tx.CodeOK)
	}
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"203.0.113.1", "203.0.113.254", true},
		{"203.0.113.1", "203.0.114.1", false},
		{"203.0.113.1", "::ffff:203.0.113.9", true},
		{"2001:db8:1::1", "2001:db8:1:ffff::1", true},
		{"2001:db8:1::1", "2001:db8:2::1", false},
	} {
		a, b := intake.Client(netip.MustParseAddr(c.a)), intake.Client(netip.MustParseAddr(c.b))
		if (a == b) != c.same {
			t.Errorf("%s and %s are one network: %v", c.a, c.b, a == b)
		}
	}
	if intake.Client(netip.Addr{}) == intake.Local() || intake.Client(netip.MustParseAddr("::1")) != intake.Local() {
		t.Error("who is this machine is not told by the address")
	}
}

func TestBadSignaturesBlock(t *testing.T) {
	g := newGate(4)
	from := intake.Client(at(1, 1))
	for i := range uint64(3) {
		wantCode(t, g.Submit(0, from, intake.Ticket(i), ofRegular(t, i, 10)), tx.CodeOK)
	}
	g.BadSignature(0, from)
	g.BadSignature(10*time.Second, from) // one that was on its way does not make it longer
	batch, refused := g.Batch(0)
	if len(batch) != 0 || len(refused) != 3 {
		t.Errorf("%d of a blocked network are verified, %d refused", len(batch), len(refused))
	}
	wantCode(t, g.Submit(intake.BlockPeriod-1, from, 0, ofRegular(t, 9, 10)), tx.CodeQueueFull)
	wantCode(t, g.Submit(intake.BlockPeriod, from, 0, ofRegular(t, 9, 10)), tx.CodeOK)
	v := intake.Validator(keys(4)[1])
	wantCode(t, g.Carry(0, v, puts(t, 0, 3), 500), tx.CodeOK)
	g.BadSignature(0, v)
	wantCode(t, g.Carry(time.Second, v, puts(t, 0, 3), 500), tx.CodeQueueFull)
	wantCode(t, g.Carry(time.Second, intake.Validator(key(9)), puts(t, 0, 3), 500), tx.CodeNotValidator)
	g.BadSignature(0, intake.Local())
	wantCode(t, g.Submit(0, intake.Local(), 0, put(t, 0, 10)), tx.CodeOK)
}

// However many networks attack, no more of them is remembered than the table has room
// for, and those that are blocked are so in order.
func TestTablesAreBounded(t *testing.T) {
	g := newGate(4)
	for i := range 20_000 {
		from := intake.Client(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}))
		_ = g.Submit(0, from, 0, put(t, 0, 10))
		g.BadSignature(time.Duration(i), from)
		_, _ = g.Batch(time.Duration(i))
	}
	if budgets, blocks := g.Remembered(); budgets > 4096 || blocks > 4096 {
		t.Errorf("%d budgets and %d blocks are remembered", budgets, blocks)
	}
	if _, _ = g.Batch(0); g.Bytes(intake.Clients) != 0 {
		t.Errorf("%d bytes wait", g.Bytes(intake.Clients))
	}
	last := intake.Client(netip.AddrFrom4([4]byte{10, byte(19_999 >> 8), byte(19_999 % 256), 1}))
	wantCode(t, g.Submit(20_000, last, 0, put(t, 0, 10)), tx.CodeQueueFull)
}

// No class waits for another one, nor does a validator for another one's flood.
func TestBatchesAreFair(t *testing.T) {
	g := newGate(4)
	vs := keys(4)
	for range 6 {
		wantCode(t, g.Carry(0, intake.Validator(vs[0]), puts(t, 0, 1000), 100_000), tx.CodeOK)
	}
	wantCode(t, g.Carry(0, intake.Validator(vs[1]), puts(t, 0, 100), 10_000), tx.CodeOK)
	for i := range uint64(50) {
		wantCode(t, g.Submit(0, intake.Local(), intake.Ticket(i), put(t, i, 10)), tx.CodeOK)
		wantCode(t, g.Submit(0, intake.Follower(at(1, 1)), 0, ofRegular(t, i, 10)), tx.CodeOK)
	}
	batch, _ := g.Batch(0)
	if len(batch) != intake.MaxSignatures {
		t.Fatalf("%d signatures, want %d", len(batch), intake.MaxSignatures)
	}
	count := map[intake.Source]int{}
	for _, p := range batch {
		count[p.From]++
	}
	if count[intake.Local()] != 50 || count[intake.Follower(at(1, 1))] != 50 || count[intake.Validator(vs[1])] != 100 {
		t.Errorf("who has few waits for who has many: %v", count)
	}
	// What is left of a frame comes next, and in order.
	rest := 0
	for {
		batch, _ := g.Batch(0)
		if len(batch) == 0 {
			break
		}
		rest += len(batch)
	}
	if rest != 6000+100+100-intake.MaxSignatures {
		t.Errorf("%d more were verified", rest)
	}
	for c := intake.Clients; c <= intake.Validators; c++ {
		if g.Bytes(c) != 0 {
			t.Errorf("%d bytes of class %d wait in an empty gate", g.Bytes(c), c)
		}
	}
}

func TestBatchesAreBoundedInEntries(t *testing.T) {
	g := newGate(1)
	for i := range uint64(intake.MaxEntries + 10) {
		wantCode(t, g.Submit(0, intake.Local(), 0, put(t, i, 10)), tx.CodeOK)
	}
	if batch, _ := g.Batch(0); len(batch) != intake.MaxEntries || batch[0].Transaction.Nonce != 0 {
		t.Errorf("%d submissions in a batch", len(batch))
	}
}

// Half of a class is for known owners: strangers cannot fill it, nor can one network
// fill it for the others.
func TestRoomInTheGate(t *testing.T) {
	g := newGate(1)
	nonce := uint64(0)
	fill := func(from intake.Source, x func(nonce uint64) *tx.Transaction) int {
		before := g.Bytes(intake.Clients)
		for {
			nonce++
			if g.Submit(0, from, 0, x(nonce)) != nil {
				return g.Bytes(intake.Clients) - before
			}
		}
	}
	stranger := func(nonce uint64) *tx.Transaction { return put(t, nonce, 60_000) }
	known := func(nonce uint64) *tx.Transaction { return ofRegular(t, nonce, 60_000) }
	if n := fill(intake.Local(), stranger); n > intake.ClassBytes/2 || n < intake.ClassBytes/2-70_000 {
		t.Errorf("strangers fill %d bytes", n)
	}
	if n := fill(intake.Client(at(1, 1)), known); n > intake.ClassBytes/16 || n < intake.ClassBytes/16-70_000 {
		t.Errorf("one network fills %d bytes", n)
	}
	if n := fill(intake.Local(), known); n > intake.ClassBytes/2 || n < intake.ClassBytes/3 {
		t.Errorf("known owners fill %d bytes", n)
	}
}

// A class with few waits for none with many, whoever comes first; nor does who has saved
// nothing up pay for that later.
func TestNobodyIsAheadForLong(t *testing.T) {
	g := newGate(2)
	for i := range uint64(400) {
		wantCode(t, g.Submit(0, intake.Local(), 0, put(t, i, 10)), tx.CodeOK)
		if i < 100 {
			wantCode(t, g.Submit(0, intake.Follower(at(1, 1)), 0, ofRegular(t, i, 10)), tx.CodeOK)
		}
	}
	batch, _ := g.Batch(0)
	followers := 0
	for _, p := range batch {
		if p.From.Class() == intake.Followers {
			followers++
		}
	}
	if followers != 100 {
		t.Errorf("%d of 100 of followers are in the batch", followers)
	}
	g = newGate(2)
	vs := keys(2)
	carry := func(v, n int) {
		t.Helper()
		wantCode(t, g.Carry(0, intake.Validator(vs[v]), puts(t, 0, n), n*100), tx.CodeOK)
	}
	carry(0, 3000)
	for range 3 {
		_, _ = g.Batch(0)
	}
	carry(0, 2000)
	carry(1, 2000)
	batch, _ = g.Batch(0)
	of := map[intake.Source]int{}
	for _, p := range batch {
		of[p.From]++
	}
	if n := of[intake.Validator(vs[0])]; n != intake.MaxSignatures/2 {
		t.Errorf("%d signatures are of the validator that had many before, want half", n)
	}
}

// What a blocked network has waiting does not use up a batch.
func TestRefusalsAreFree(t *testing.T) {
	g := newGate(1)
	from := intake.Client(at(1, 1))
	for i := range uint64(300) {
		wantCode(t, g.Submit(0, from, intake.Ticket(i), ofRegular(t, i, 10)), tx.CodeOK)
	}
	wantCode(t, g.Submit(0, intake.Local(), 0, ofRegular(t, 1000, 10)), tx.CodeOK)
	g.BadSignature(0, from)
	if batch, refused := g.Batch(0); len(batch) != 1 || len(refused) != 300 {
		t.Errorf("%d are verified and %d refused", len(batch), len(refused))
	}
}

func TestValidatorsThatLeaveAreDropped(t *testing.T) {
	g := newGate(3)
	vs := keys(4)
	for i := range 3 {
		wantCode(t, g.Carry(0, intake.Validator(vs[i]), puts(t, 0, 3), 500), tx.CodeOK)
	}
	g.SetValidators([]sig.PublicKey{vs[3], vs[2]})
	batch, _ := g.Batch(0)
	if len(batch) != 3 || batch[0].From != intake.Validator(vs[2]) {
		t.Errorf("%d are verified, want those of the one who stays", len(batch))
	}
}

// Whatever anybody hands in, each class, each half, each network and each validator has
// the bytes that it may have, and what waits is what was let in and not yet verified.
func TestGateIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGate(3)
		now := time.Duration(0)
		waiting := map[intake.Class]int{}
		strangers := map[intake.Source][]time.Duration{}
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 300).Draw(t, "milliseconds")) * ms
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				batch, _ := g.Batch(now)
				if len(batch) > intake.MaxSignatures {
					t.Fatalf("%d signatures at once", len(batch))
				}
				if len(batch) > 0 && rapid.IntRange(0, 3).Draw(t, "bad") == 0 {
					g.BadSignature(now, batch[0].From)
				}
			case 1, 2:
				n := rapid.IntRange(1, 3000).Draw(t, "transactions")
				_ = g.Carry(now, intake.Validator(keys(3)[rapid.IntRange(0, 2).Draw(t, "validator")]), make([]*tx.Transaction, n), n*200)
			default:
				from := intake.Client(at(byte(rapid.IntRange(0, 2).Draw(t, "network")), 1))
				if rapid.Bool().Draw(t, "follower") {
					from = intake.Follower(at(1, 1))
				}
				known := rapid.Bool().Draw(t, "known")
				for range rapid.IntRange(1, 30).Draw(t, "times") {
					x := put(t, 0, rapid.SampledFrom([]int{10, 5000, 60_000}).Draw(t, "size"))
					if known {
						x = ofRegular(t, 0, len(x.Raw())/2)
					}
					if g.Submit(now, from, 1, x) == nil && !known {
						strangers[from] = append(strangers[from], now)
					}
				}
			}
			for c := intake.Clients; c <= intake.Validators; c++ {
				waiting[c] = g.Bytes(c)
			}
			if waiting[intake.Clients] > intake.ClassBytes || waiting[intake.Followers] > intake.ClassBytes || waiting[intake.Validators] > 3*intake.ValidatorBytes {
				t.Fatalf("bytes by class %v", waiting)
			}
		}
		// In any period, a network's strangers have at most two budgets: one that was
		// whole, and what came back meanwhile.
		for from, times := range strangers {
			for i := range times {
				if j := i + 2*intake.StrangerSignatures; j < len(times) && times[j]-times[i] < intake.StrangerPeriod {
					t.Fatalf("%v: %d signatures of strangers in %v", from, j-i, times[j]-times[i])
				}
			}
		}
	})
}
