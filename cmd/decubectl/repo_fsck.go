package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/exitcode"
)

// repoFsckOptions are the inputs of repo fsck.
type repoFsckOptions struct{ api.FsckRequest }

func newRepoFsckCommand(e *env) *cobra.Command {
	o := new(repoFsckOptions)
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check the block store",
		Long: `Checks that the index and the stored blocks agree, and that every snapshot that is
kept has its blocks. The exit code is 1 when something is wrong.

When the record of what is kept is lost or damaged, nothing is collected any more;
--repair then keeps every snapshot whose root is here, also those given up before.
Without a daemon, --repair also makes a new index when that is missing or damaged.`,
		Example: "  decubectl repo fsck\n  decubectl repo fsck --read-data --repair",
		Args:    noArgs,
		RunE:    runs(e, nil, o.run),
	}
	cmd.Flags().BoolVar(&o.ReadData, "read-data", false, "read and hash every block")
	cmd.Flags().BoolVar(&o.Repair, "repair", false, "rebuild what can be rebuilt, set aside what is damaged")
	return cmd
}

func (o *repoFsckOptions) run(ctx context.Context, e *env) error {
	x, err := e.open(ctx, o.Repair)
	if err != nil {
		return err
	}
	return errors.Join(o.check(ctx, e, x), x.close())
}

func (o *repoFsckOptions) check(ctx context.Context, e *env, x *access) error {
	m := e.meter("fsck")
	rep, err := x.Fsck(ctx, o.FsckRequest, m.work)
	m.close()
	if err != nil {
		return err
	}
	if err := e.print(rep, func(w io.Writer) { showFsck(w, rep) }); err != nil {
		return err
	}
	if !rep.OK {
		return exitcode.With(fmt.Errorf("the block store in %s is damaged, see above; --repair mends what can be, "+
			"\"decubectl snapshot fetch CID\" gets lost blocks from peers", e.repo), exitcode.Failed)
	}
	return nil
}

func showFsck(w io.Writer, rep api.FsckReport) {
	for _, text := range rep.Findings {
		fmt.Fprintln(w, text)
	}
	for _, id := range rep.Damaged {
		fmt.Fprintln(w, "damaged block", id)
	}
	for _, s := range rep.Snapshots {
		fmt.Fprintf(w, "snapshot %s lacks %s %s\n", s.CID, plural(s.Missing, "block"), s.Detail)
	}
	for _, s := range rep.Interrupted {
		what := "its block list"
		if s.Missing > 0 {
			what = plural(s.Missing, "block")
		}
		fmt.Fprintf(w, "snapshot %s: its fetch was interrupted, %s to go; \"decubectl snapshot fetch %s\" goes on\n", s.CID, what, s.CID)
	}
	state := "no damage"
	if !rep.OK {
		state = "damaged"
	}
	fmt.Fprintf(w, "%s: %s checked, %s, %s repaired, in %.2f s\n",
		state, plural(rep.Blocks, "block"), size(rep.Bytes), count(rep.Repaired), rep.Seconds)
}
