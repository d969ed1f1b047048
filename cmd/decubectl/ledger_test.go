package main

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/ledger/tx"
)

func TestParseRetention(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"36h":                  now.Add(36 * time.Hour),
		"90d":                  now.AddDate(0, 0, 90),
		"2w":                   now.AddDate(0, 0, 14),
		"1y":                   now.AddDate(0, 0, 365),
		"2030-12-31":           time.Date(2030, 12, 31, 0, 0, 0, 0, time.UTC),
		"2030-12-31T12:00:00Z": time.Date(2030, 12, 31, 12, 0, 0, 0, time.UTC),
	} {
		if got, err := parseRetention(text, now); err != nil || got != want.Unix() {
			t.Errorf("%s: until %v, %v, want %v", text, time.Unix(got, 0).UTC(), err, want)
		}
	}
	if got, err := parseRetention("", now); got != 0 || err != nil {
		t.Errorf("no promise: %d, %v", got, err)
	}
	for _, text := range []string{"0", "0d", "-1d", "d", "90", "1.5y", "99999d", "1000y", "2026-02-03", "2020-01-01", "-36h", "soon", "1d2h"} {
		if got, err := parseRetention(text, now); err == nil {
			t.Errorf("%q was taken for %v", text, time.Unix(got, 0).UTC())
		}
	}
}

func TestParseValidator(t *testing.T) {
	const key = "12D3KooWAs5X3xDVVd4ddamHVFja3u1PqpW4MWTonbqT4rKa7Poq"
	for text, want := range map[string]struct {
		name  string
		addrs []string
	}{
		key:                           {"", nil},
		key + "=alpha":                {"alpha", nil},
		key + "=a@b=c":                {"a@b=c", nil},
		key + "=alpha@/ip4/1.2.3.4":   {"alpha", []string{"/ip4/1.2.3.4"}},
		key + "@/dns4/a/tcp/1,/dns/b": {"", []string{"/dns4/a/tcp/1", "/dns/b"}},
	} {
		v, err := parseValidator(text)
		if err != nil || v.Key.String() != key || v.Name != want.name || !slices.Equal(v.Addresses, want.addrs) {
			t.Errorf("%s: %+v, %v", text, v, err)
		}
	}
	for _, text := range []string{"", "=", key + "=", key[1:], "alpha=" + key} {
		if v, err := parseValidator(text); err == nil {
			t.Errorf("%q was taken for %+v", text, v)
		}
	}
}

// Whatever the ledger rejects ends with exit code 1, the reason and what to do,
// also for a reason that a newer node has.
func TestRejectionsAreExplained(t *testing.T) {
	p := api.NewProblem(tx.Reject(tx.CodeNonceUsed, "nonce 3, the next is 7"))
	err := explain(t.Context(), p)
	if exitcode.Of(err) != exitcode.Failed {
		t.Errorf("exit code %d", exitcode.Of(err))
	}
	for _, want := range []string{"nonce_used", "the next is 7", tx.CodeNonceUsed.Explain()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	odd := &api.Problem{Code: api.CodeRejected, Detail: "tired: today", Rejection: &api.Rejection{Code: "tired", Explain: "Come back tomorrow."}}
	if err := explain(t.Context(), odd); !strings.HasSuffix(err.Error(), "tired: today; Come back tomorrow.") || !errors.Is(err, api.ErrRejected) {
		t.Errorf("%v", err)
	}
}

// The program verifies receipts by the ledger's own rules, without linking what
// runs a ledger.
func TestLinksNoReplica(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const room = "github.com/decube/decube/ledger"
	linked := strings.Fields(string(out))
	for _, never := range []string{room, room + "/archive", room + "/wal", room + "/state", room + "/codec", room + "/pool", room + "/smt"} {
		if slices.Contains(linked, never) {
			t.Errorf("links %s: its place is in the daemon", never)
		}
	}
	if !slices.Contains(linked, room+"/receipt") {
		t.Error("cannot verify receipts")
	}
}
