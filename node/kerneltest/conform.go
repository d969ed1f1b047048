package kerneltest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/api/client"
	"github.com/decube/decube/node/kernel"
)

// Conform checks what every part must do, with a node that has it. options returns what a
// node is opened with, on the same repository each time, with a new object of each part.
//
//   - What is opened is closed, also where it never ran, or where its Open was cancelled:
//     no goroutine is left, and it can be opened again.
//   - It runs until it is told to stop, and stops within the kernel's bound, without error.
//   - While it runs the node's status and warnings are answered.
func Conform(t *testing.T, options func() kernel.Options) {
	t.Helper()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, ctx := range map[string]context.Context{"closed without Run": t.Context(), "a cancelled Open": cancelled} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), Clock)
			for range 2 {
				n, err := kernel.Open(ctx, options())
				if err != nil {
					if ctx.Err() == nil {
						t.Fatal(err)
					}
					continue
				}
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("run and stopped", func(t *testing.T) {
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), Clock)
		for range 2 {
			p := Start(t, options())
			c, err := client.New(client.Options{Repo: string(p.Repo)})
			if err != nil {
				t.Fatal(err)
			}
			if st, err := c.Status(t.Context()); err != nil || !st.Ready {
				t.Errorf("status %+v, %v", st, err)
			}
			c.Close()
			begin := time.Now()
			if err := p.Stop(); err != nil || time.Since(begin) > Patience/2 {
				t.Errorf("stopped after %v: %v", time.Since(begin), err)
			}
		}
	})
}
