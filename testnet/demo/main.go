// Command demo shows what DeCube does, with real data between real processes on
// this machine: a snapshot is taken on one peer and registered in the ledger of four
// validators, found on another in its copy of the catalog and fetched by its name, restored
// and compared, and its receipt is verified offline; all of that while a leader and a
// provider are killed. It prints what happens, leaves nothing behind, and fails when
// anything is not as it should be.
//
//	demo -bin DIR [-source DIR] [-size BYTES] [-keep]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/testnet/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once; the kernel ends the daemons.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

// settings are what the command line says.
type settings struct {
	bin    string
	keep   bool
	source string // of the first snapshot; empty is the Go toolchain's own tree
	size   int64  // bytes of random data in the second snapshot
}

func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.bin, "bin", "bin", "directory of decube-node and decubectl")
	flags.BoolVar(&s.keep, "keep", false, "leave repositories, logs and restored trees behind")
	flags.StringVar(&s.source, "source", "", "`directory` of the first snapshot (default the Go toolchain's own tree)")
	flags.Func("size", "random data in the second snapshot (default 256MiB)", func(text string) error {
		n, err := humanize.ParseBytes(text)
		if err != nil || n < 1<<20 || n > 1<<40 {
			return errors.New("want 1MiB to 1TiB, such as 2GiB")
		}
		s.size = int64(n)
		return nil
	})
	s.size = 256 << 20
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.source != "" {
		var err error
		if s.source, err = filepath.Abs(s.source); err != nil { // decubectl runs elsewhere
			return s, err
		}
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, nil
}

// run is the whole demo. What it started and made is gone when it returns.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	s, err := parse(args, out)
	if err != nil {
		return err
	}
	c, err := cluster.New(cluster.Options{Bin: s.bin, Keep: s.keep, Network: "demo"})
	if err != nil {
		return err
	}
	d := &demo{
		story:   story{out: out, began: time.Now()},
		cluster: c,
		bin:     s.bin,
		source:  s.source,
		size:    s.size,
		spent:   map[*cluster.Node]bench.ProcessUsage{},
	}
	defer func() {
		err = errors.Join(err, c.Close())
		switch {
		case s.keep:
			d.say("Everything is left in %s.", c.Dir())
		case err == nil:
			d.say("Nothing is left running, nothing is left on disk.")
		}
	}()
	if err := d.tell(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return err
	}
	return nil
}
