package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/node/kerneltest"
	"github.com/decube/decube/protocols/statesync"
)

// validator is a node that is a committee of its own, or the first of a larger one.
type validator struct {
	*kerneltest.Peer

	key     sig.PublicKey
	running *running
}

// validate starts the first of so many validators.
func validate(t *testing.T, of int) *validator {
	t.Helper()
	var keys []sig.PrivateKey
	var committee []genesis.Validator
	for range of {
		key, err := sig.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		committee = append(committee, genesis.Validator{Key: key.Public()})
	}
	g, err := genesis.New("test", time.Now(), committee, genesis.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	dir := kerneltest.NewRepo(t, keys[0].Encode())
	if err := join(dir, g, true); err != nil {
		t.Fatal(err)
	}
	part := New(ledger.Default(), dir)
	peer := kerneltest.Start(t, kerneltest.Options(dir, part))
	return &validator{peer, keys[0].Public(), part.running}
}

func alone(t *testing.T) *validator {
	t.Helper()
	return validate(t, 1)
}

// warned reports whether one of the node's warnings has a text in it.
func (v *validator) warned(text string) bool {
	return slices.ContainsFunc(v.Warnings(context.Background()), func(w string) bool { return strings.Contains(w, text) })
}

// A ledger that has failed is closed; nothing may touch it any more.
func TestFailedLedgerIsNotAsked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	v := alone(t)
	client, follower := newSync(t, nil)
	failure := errors.New("the disk is gone")
	v.running.failed.Store(&failure)
	if _, err := v.running.Status(ctx); !errors.Is(err, api.ErrUnavailable) || !errors.Is(err, failure) {
		t.Errorf("status: %v", err)
	}
	if _, _, err := v.running.Do(ctx, tx.NameClaim{Name: "x"}); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("submitting: %v", err)
	}
	for _, err := range v.running.Watch(ctx, 0) {
		if !errors.Is(err, failure) {
			t.Errorf("watching: %v", err)
		}
	}
	if !v.warned("the disk is gone") {
		t.Errorf("warnings %q", v.Warnings(ctx))
	}
	if err := follower.Connect(ctx, peer.AddrInfo{ID: v.ID(), Addrs: v.Kernel.Host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Peer(v.ID()).Head(ctx); !errors.Is(err, statesync.ErrFailed) {
		t.Errorf("what it serves: %v", err)
	}
	if err := v.Stop(); !errors.Is(err, failure) {
		t.Errorf("stopping: %v", err)
	}
}

// Whoever follows a node that is told to stop is sent elsewhere, and not cut off.
func TestStoppingSendsFollowersAway(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	v := alone(t)
	if _, _, err := v.running.Do(ctx, tx.NameClaim{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	client, follower := newSync(t, nil)
	if err := follower.Connect(ctx, peer.AddrInfo{ID: v.ID(), Addrs: v.Kernel.Host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, err := range client.Peer(v.ID()).Follow(ctx, 1, statesync.MaxBlock) {
		if err == nil {
			if blocks++; blocks == 1 {
				go func() { _ = v.Stop() }()
			}
		} else if !errors.Is(err, statesync.ErrBusy) {
			t.Errorf("it is told %v", err)
		}
	}
	if blocks == 0 {
		t.Error("there was nothing to follow")
	}
	if err := v.Stop(); err != nil {
		t.Error(err)
	}
}

func TestTwinsAreWarnedOf(t *testing.T) {
	n := alone(t)
	if n.warned("a second process") {
		t.Error("warned of nothing")
	}
	n.running.duplicate(n.key)
	if !n.warned("a second process has come with the key of validator " + n.ID().String()) {
		t.Errorf("warnings %q", n.Warnings(t.Context()))
	}
	if st, err := n.running.Status(t.Context()); err != nil || st.Stuck || !strings.Contains(st.Problem, "key in use: a second process") {
		t.Errorf("the status says %q, %v", st.Problem, err)
	}
	n.running.twin.Store(&twin{n.key, time.Now().Add(-twinMemory)})
	if n.warned("a second process") {
		t.Error("warned for too long")
	}
}

func TestMessagesAreBounded(t *testing.T) {
	n := validate(t, 2)
	to := transport{n.running.votes, 100}
	other := n.running.genesis.Validators[1].Key
	if other == n.key {
		other = n.running.genesis.Validators[0].Key
	}
	n.running.votes.SetValidators(n.running.genesis.Set())
	if !to.Send(other, ledger.Bulk, make([]byte, 100)) || to.Send(other, ledger.Bulk, make([]byte, 101)) {
		t.Error("the bound is not kept")
	}
}

// A committee that a machine has no room for is refused when the node starts.
func TestCommitteesFitTheMachine(t *testing.T) {
	for _, c := range []struct {
		gib   int64
		of    int
		block uint64
		fits  bool
	}{
		{1, 4, 0, true}, {1, 256, 0, false}, {24, 256, 0, true}, {1, 4, tx.MaxBatchSize, true},
	} {
		b, err := limits.NewBudget(limits.Machine{Memory: c.gib << 30, Files: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Add(b.Kad("/kad"), b.Identify("identify", "/id", "id"), b.Identify("push", "/push", "id")); err != nil {
			t.Fatal(err)
		}
		p := &Part{genesis: &genesis.Genesis{Params: genesis.DefaultParams(), Validators: make([]genesis.Validator, c.of)}}
		if c.block > 0 {
			p.genesis.Params.MaxBlockBytes = c.block
		}
		if err := p.Limits(b); (err == nil) != c.fits || err != nil && !errors.Is(err, limits.ErrOverdrawn) {
			t.Errorf("%d validators with blocks of %d bytes on %d GiB: %v", c.of, p.genesis.Params.MaxBlockBytes, c.gib, err)
		}
	}
	if err := new(Part).Limits(nil); err != nil {
		t.Errorf("without a ledger: %v", err)
	}
}
