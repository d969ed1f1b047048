package hostile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/testnet/cluster"
	"github.com/decube/decube/testnet/hostile"
	"github.com/decube/decube/testnet/hostile/rig"
)

// teller calls a function at the first line that begins so.
type teller struct {
	begins string
	f      func()
}

func (w teller) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), w.begins) {
		w.f()
	}
	return len(b), nil
}

// options are those of a short run with programs of this source.
func options(t *testing.T) hostile.Options {
	t.Helper()
	r, err := rig.Open(t.Context(), rig.Plan{Tag: "dch" + strconv.Itoa(os.Getpid())}, os.Args[0], 1<<30)
	if errors.Is(err, rig.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Skipf("namespaces cannot be made here: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	o := hostile.DefaultOptions()
	o.Bin, o.Self, o.Dir = t.TempDir(), os.Args[0], t.TempDir()
	if err := cluster.Build(t.Context(), o.Bin); err != nil {
		t.Fatal(err)
	}
	o.Attacks, o.Duration, o.Size, o.Bars.Settle = []string{"garbage"}, time.Second, 4<<20, time.Second
	return o
}

// left returns what is left of the rigs of this process, and of what they kept.
func left(t *testing.T, o hostile.Options) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{
		"/run/netns/dch" + strconv.Itoa(os.Getpid()) + "-*", "/sys/fs/cgroup/memory/dch*", "/sys/fs/cgroup/memory/*/*/dch" + strconv.Itoa(os.Getpid()),
		"/sys/fs/cgroup/dch" + strconv.Itoa(os.Getpid()), filepath.Join(o.Dir, "*"),
	} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, names...)
	}
	return out
}

// Real daemons are attacked in namespaces, everything is measured, and nothing is left;
// also when the run is interrupted.
func TestOneAttack(t *testing.T) {
	o := options(t)
	report, err := hostile.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if names := left(t, o); len(names) > 0 {
		t.Errorf("left: %q", names)
	}
	if len(report.Results) != 1 || report.Rig == "" || !strings.Contains(report.Version, "decube-node") {
		t.Fatalf("%+v", report)
	}
	r := report.Results[0]
	t.Logf("%s; %+v", report.Rig, r)
	if r.Failed != "" || r.Counts["connections"] == 0 || r.Counts["bytes of garbage"] == 0 {
		t.Errorf("the attackers did %v, %s", r.Counts, r.Failed)
	}
	if r.Before.Serve.Rate <= 0 || r.Before.Fetch.Rate <= 0 || r.Before.Newcomer.Err != "" || r.Before.Newcomer.Took <= 0 {
		t.Errorf("before: %+v", r.Before)
	}
	if s := r.Before.Idle; s.Resident <= 0 || s.Goroutines <= 0 || s.Descriptors <= 0 {
		t.Errorf("the victim: %+v", s)
	}
	if r.Died != "" {
		t.Errorf("the victim died: %s", r.Died)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Tell = teller{"garbage: ", cancel}
	if report, err := hostile.Run(ctx, o); err == nil {
		t.Errorf("an interrupted run reports %+v", report)
	}
	if names := left(t, o); len(names) > 0 {
		t.Errorf("left after an interruption: %q", names)
	}
}

func TestRunRefuses(t *testing.T) {
	o := hostile.DefaultOptions()
	o.Kubo, o.Attacks = "ipfs", []string{"exchange-tiny"}
	if _, err := hostile.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "exchange-tiny") {
		t.Errorf("Kubo is attacked on what it does not speak: %v", err)
	}
	o.Kubo = ""
	o.Attacks = []string{"kindness"}
	if _, err := hostile.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "kindness") {
		t.Errorf("%v", err)
	}
	o.Attacks, o.Bin = nil, t.TempDir()
	if _, err := hostile.Run(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
