package cluster

import (
	"context"
	"fmt"
	"os/exec"
)

// Build builds the programs of a cluster from source into dir, with the go tool.
// The working directory must be within the module.
func Build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", dir, "github.com/decube/decube/cmd/...")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
