package cluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/decube/decube/api"
)

// A peer that is cut off from the only validator gets nothing committed, until the
// cut is healed.
func TestCut(t *testing.T) {
	bin := t.TempDir()
	if err := Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Bin: bin, Network: "cut"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	net, err := c.Testnet(t.Context(), 1, 1, NodeOptions{QUIC: true})
	if err != nil {
		t.Fatal(err)
	}
	follower := net.Followers[0]
	submit := func(wait time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*wait)
		defer cancel()
		var done api.Submitted
		return follower.JSON(ctx, &done, "ledger", "submit", "record.put", "key", "value", "--timeout", wait.String())
	}
	const patience = 20 * time.Second
	if err := submit(patience); err != nil {
		t.Fatal(err)
	}
	heal, err := Cut(follower, net.Validators...)
	if errors.Is(err, os.ErrPermission) {
		t.Skip("the kernel does not let a process at its children's sockets here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := submit(2 * time.Second); !errors.As(err, &exit) {
		t.Errorf("submitting while cut off: %v", err)
	}
	if err := heal(); err != nil {
		t.Fatal(err)
	}
	if err := submit(patience); err != nil {
		t.Error(err)
	}
	if err := follower.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := Cut(follower, net.Validators...); !errors.Is(err, ErrNotRunning) {
		t.Errorf("cutting off who does not run: %v", err)
	}
	// Nothing keeps the ports that the daemons had.
	if err := follower.Restart(t.Context()); err != nil {
		t.Error(err)
	}
}
