package main

import (
	"context"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// A swarm command ends by itself, unless it is told when.
func TestSwarmCommandsEnd(t *testing.T) {
	for _, c := range []struct {
		args []string
		want time.Duration // 0 for never
	}{
		{nil, swarmTimeout}, {[]string{"--timeout", "5s"}, 5 * time.Second}, {[]string{"--timeout", "0"}, 0},
	} {
		e := new(env)
		var left time.Duration
		cmd := &cobra.Command{Use: "x", Short: "X", RunE: runs(e, nil, func(ctx context.Context, _ *env) error {
			if at, ok := ctx.Deadline(); ok {
				left = time.Until(at)
			}
			return nil
		})}
		cmd.Flags().DurationVar(&e.timeout, "timeout", 0, "")
		within(e, swarmTimeout, cmd)
		cmd.SetArgs(c.args)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left > c.want || left < c.want-c.want/10 {
			t.Errorf("%q has %v, want %v", c.args, left, c.want)
		}
	}
	for _, c := range newSwarmCommand(new(env)).Commands() {
		if c.RunE == nil || c.Long == "" {
			t.Errorf("%s does not say when it ends", c.Name())
		}
	}
}
