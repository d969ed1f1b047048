package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/repo"
)

// fakeEnv turns this test binary into a stand-in for decube-node and decubectl:
// enough of their command lines to see that the suite drives and checks them.
const fakeEnv = "SUITE_TEST_FAKE"

// Ways in which the stand-in misbehaves, as values of fakeEnv.
const (
	fakeSound     = "sound"
	fakeLoses     = "restores nothing"
	fakeMiscounts = "reports other counts"
	fakeDies      = "daemon ends at once"
)

func TestMain(m *testing.M) {
	how := os.Getenv(fakeEnv)
	if how == "" {
		os.Exit(m.Run())
	}
	if err := fake(how, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fake(how string, args []string) error {
	dir := repo.Dir(os.Getenv(repo.EnvPath))
	note := filepath.Join(string(dir), "source")
	command := args[0]
	if command == "snapshot" || command == "swarm" || command == "benchmark" {
		command += " " + args[1]
	}
	switch command {
	case "init":
		return os.MkdirAll(dir.Blocks(), 0o700)
	case "daemon":
		if how == fakeDies {
			return errors.New("port in use")
		}
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("Daemon is ready")
		<-stop
		return nil
	case "id":
		return printJSON(map[string]any{"addresses": []string{"/ip4/10.0.0.1/tcp/1/p2p/x", "/ip4/127.0.0.1/tcp/1/p2p/x"}})
	case "status":
		return printJSON(map[string]any{"peers": idlePeers})
	case "benchmark consensus":
		return printJSON(bench.Measured{Sample: bench.Sample{Seconds: 1}, Values: map[string]float64{bench.MetricLatencyP50: 0.5}})
	case "snapshot create":
		tree, err := bench.Warm(context.Background(), args[2])
		if err != nil {
			return err
		}
		if how == fakeMiscounts {
			tree.Files++
		}
		return errors.Join(os.WriteFile(note, []byte(args[2]), 0o600),
			printJSON(map[string]any{"cid": "root", "files": tree.Files, "bytes": tree.Bytes}))
	case "snapshot fetch":
		return printJSON(map[string]any{"cid": "root"})
	case "snapshot restore":
		source, err := os.ReadFile(note)
		if err != nil {
			return err
		}
		if how == fakeLoses {
			return os.Mkdir(args[3], 0o700)
		}
		return replicate(string(source), args[3])
	default:
		return fmt.Errorf("unexpected arguments %q", args)
	}
}

func printJSON(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

func replicate(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(target, os.DirFS(source))
	}
	b, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return os.WriteFile(target, b, 0o600)
}
