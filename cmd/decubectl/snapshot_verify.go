package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// snapshotVerifyOptions are the inputs of snapshot verify.
type snapshotVerifyOptions struct {
	api.VerifyRequest

	root block.ID
}

func newSnapshotVerifyCommand(e *env) *cobra.Command {
	o := new(snapshotVerifyOptions)
	cmd := &cobra.Command{
		Use:   "verify CID",
		Short: "Check the node's copy of a snapshot",
		Long: `Checks that the node holds every block of a snapshot and that its manifest is sound;
with --read-data also every byte. The exit code is 1 when something is wrong.`,
		Example: "  decubectl snapshot verify bafyrei...\n  decubectl snapshot verify bafyrei... --read-data --json",
		Args:    wants(1, 1, "one CID"),
		RunE:    runs(e, o.parse, o.run),
	}
	cmd.Flags().BoolVar(&o.ReadData, "read-data", false, "read and hash every block")
	return cmd
}

func (o *snapshotVerifyOptions) parse(args []string) (err error) {
	o.root, err = parseRoot(args[0])
	return err
}

func (o *snapshotVerifyOptions) run(ctx context.Context, e *env) error {
	return e.withRepo(ctx, func(x *access) error {
		m := e.meter("verify")
		rep, err := x.Verify(ctx, o.root, o.VerifyRequest, m.work)
		m.close()
		if err != nil {
			return hintFetch(err, o.root)
		}
		if err := e.print(rep, func(w io.Writer) { showVerify(w, rep) }); err != nil {
			return err
		}
		if !rep.OK {
			return errors.New("the copy of snapshot " + o.root.String() + " is not sound, see above; \"decubectl snapshot fetch\" gets blocks that are missing or damaged from peers")
		}
		return nil
	})
}

func showVerify(w io.Writer, rep api.VerifyReport) {
	for _, id := range rep.Missing {
		fmt.Fprintln(w, "missing block", id)
	}
	for _, id := range rep.Damaged {
		fmt.Fprintln(w, "damaged block", id)
	}
	for _, text := range rep.Problems {
		fmt.Fprintln(w, printable(text))
	}
	state := "sound"
	if !rep.OK {
		state = "not sound"
	}
	fmt.Fprintf(w, "%s: %s, %s of %s, checked in %.2f s\n", state, plural(rep.Blocks, "block"), size(rep.Bytes), plural(rep.Files, "file"), rep.Seconds)
}
