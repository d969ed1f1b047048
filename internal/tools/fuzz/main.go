// Command fuzz runs every fuzz target of the packages it is given, one after
// another, each for a while: the go tool takes one target at a time.
//
//	go run ./internal/tools/fuzz -time 20s ./...
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

func main() {
	duration := flag.Duration("time", 20*time.Second, "how long each target runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *duration, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// run fuzzes all targets, also after one has failed, and returns all failures.
func run(ctx context.Context, duration time.Duration, patterns []string) error {
	list := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-run", "^$", "-list", "^Fuzz"}, patterns...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	targets, err := parse(bytes.NewReader(out))
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	var failed error
	for _, t := range targets {
		fmt.Printf("%s %s\n", t.pkg, t.name)
		// Inputs are hardly minimised: with texts that takes all the time there is.
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$",
			"-fuzztime", duration.String(), "-fuzzminimizetime", "5x", t.pkg)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s %s: %w", t.pkg, t.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

type target struct{ pkg, name string }

// parse reads the targets out of what go test -json -list prints.
func parse(r io.Reader) ([]target, error) {
	var out []target
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var event struct{ Action, Package, Output string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		if name := strings.TrimSpace(event.Output); event.Action == "output" && strings.HasPrefix(name, "Fuzz") {
			out = append(out, target{event.Package, name})
		}
	}
	return out, lines.Err()
}
