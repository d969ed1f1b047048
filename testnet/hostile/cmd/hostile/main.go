// Command hostile attacks real daemons in network namespaces that it makes for itself,
// in every way that package attack knows, and says what others noticed. It takes root
// and Linux, leaves nothing behind, and exits with 1 when a bar was missed, 2 when it
// could not run, and 130 when it was interrupted.
//
//	hostile -bin DIR [-attack NAME,...] [-json]
//	hostile -kubo PROGRAM [-attack NAME,...] [-json]
//	hostile -list
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"

	"github.com/decube/decube/testnet/hostile"
	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
)

const (
	missed      = 1
	failed      = 2
	interrupted = 130
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program, and what it is when it runs itself.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) > 0 && args[0] == rig.EnterCommand {
		return exit(errs, rig.Enter(args[1:]))
	}
	if len(args) > 0 && args[0] == hostile.AttackCommand {
		return exit(errs, hostile.Obey(in, out))
	}
	s, err := parse(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return exit(errs, err)
	}
	if s.list {
		list(out)
		return 0
	}
	// A second signal ends the process at once, and leaves namespaces to the next run.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if s.Self, err = os.Executable(); err != nil {
		return exit(errs, err)
	}
	s.Tell = errs
	report, err := hostile.Run(ctx, s.Options)
	if perr := show(out, report, s.json); perr != nil {
		err = errors.Join(err, perr)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(errs, "hostile: interrupted")
		return interrupted
	case err != nil:
		return exit(errs, err)
	case report.Missed():
		return missed
	}
	return 0
}

func exit(errs io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(errs, "hostile:", err)
	return failed
}

func show(out io.Writer, r hostile.Report, asJSON bool) error {
	if len(r.Results) == 0 {
		return nil
	}
	if !asJSON {
		return r.Table(out)
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// settings are what the command line says.
type settings struct {
	hostile.Options

	list, json bool
}

func parse(args []string, out io.Writer) (settings, error) {
	s := settings{Options: hostile.DefaultOptions()}
	flags := flag.NewFlagSet("hostile", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.Bin, "bin", s.Bin, "directory of decube-node and decubectl")
	flags.StringVar(&s.Kubo, "kubo", "", "attack Kubo in place of decube-node: the `path` of its program ipfs")
	flags.Func("attack", "`names` of the attacks to make, separated by commas (default all)", func(text string) error {
		s.Attacks = strings.Split(text, ",")
		_, err := attack.Named(s.Attacks)
		return err
	})
	flags.BoolVar(&s.list, "list", false, "list the attacks and make none")
	flags.BoolVar(&s.json, "json", false, "write one JSON object instead of a table")
	flags.DurationVar(&s.Duration, "duration", s.Duration, "how long an attack goes on at least")
	flags.DurationVar(&s.Bars.Settle, "settle", s.Bars.Settle, "how long after an attack all must be back")
	flags.IntVar(&s.Identities, "identities", 0, "identities of the attackers; 0 is what each attack needs")
	flags.IntVar(&s.Addresses, "addresses", 0, fmt.Sprintf("addresses of the attackers, at most %d; 0 is what each attack needs", rig.MaxAddresses))
	flags.BoolVar(&s.V6, "v6", false, "have a quarter of the identities come from a /32 of IPv6, each from a /48 of its own")
	flags.BoolVar(&s.QUIC, "quic", false, "have strangers speak QUIC in place of TCP")
	many := flags.Bool("many", false, fmt.Sprintf("judge as of a crowd from hundreds of networks (default with more than %d -identities)", hostile.Few))
	flags.Func("size", "bytes of what is fetched (default 64MiB)", sizeOf(&s.Size))
	flags.Func("memory", "bytes of memory that the victim has (default 2GiB)", sizeOf(&s.Memory))
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if settle := s.Bars.Settle; *many || s.Identities > hostile.Few {
		s.Bars = hostile.ManyBars()
		s.Bars.Settle = settle
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case s.Identities < 0 || s.Addresses < 0 || s.Addresses > rig.MaxAddresses:
		return s, fmt.Errorf("%d identities, %d addresses: want 0 or more, and at most %d addresses", s.Identities, s.Addresses, rig.MaxAddresses)
	case s.Duration <= 0 || s.Bars.Settle < 0:
		return s, errors.New("-duration must be more than 0, and -settle no less")
	}
	return s, nil
}

// sizeOf returns what sets a size.
func sizeOf(to *int64) func(string) error {
	return func(text string) error {
		n, err := humanize.ParseBytes(text)
		if err != nil || n < 1<<20 || n > 1<<40 {
			return errors.New("want 1MiB to 1TiB, such as 64MiB")
		}
		*to = int64(n)
		return nil
	}
}

func list(out io.Writer) {
	for _, a := range attack.All() {
		fmt.Fprintf(out, "%-20s %s (%d identities, %d addresses)\n", a.Name, a.About, a.Identities, a.Addresses)
	}
}
