package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/decube/decube/api/ledgertest"
)

// binaries builds both programs once for all tests and returns their directory.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "decubectl-test-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir+"/", ".", "../decube-node")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("building: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := binaries(); err == nil {
		_ = os.RemoveAll(dir) // a leftover in the temporary directory is no failure
	}
	os.Exit(code)
}

// TestScripts runs the scripts of testdata/script with the real programs. Beside
// the commands of testscript they know:
//
//	exits CODE PROGRAM [ARG...]    run a program and expect its exit code
//	daemon NAME [ARG...]           start decube-node on the repository NAME, wait
//	                               until it is ready, set NAME_addr and NAME_api
//	halt NAME [now]                stop it, and wait; with now it is killed
//	awaits CODE REGEXP PROGRAM [ARG...]
//	                               run a program again and again, until its exit code is
//	                               CODE and what it prints matches; a minute is too long
//	set VAR [REGEXP]               set a variable to what the last program printed, or
//	                               to the first of it that matches
//	ledgerd NAME [nothing]         serve the API of a node of a ledger on the repository
//	                               NAME, set NAME_api; with nothing, of one without
//	stall NAME [WHY]               keep the ledger of NAME from committing, or let it
//	receipts                       write receipts.dir: good and bad receipts
func TestScripts(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("LONG", strings.Repeat("l", 300))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			env.Setenv("DECUBE_PATH", filepath.Join(env.WorkDir, "repo"))
			env.Values[daemons{}] = map[string]*daemon{}
			env.Values[ledgers{}] = map[string]*ledgertest.Ledger{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": cmdExits, "daemon": cmdDaemon, "halt": cmdHalt, "awaits": cmdAwaits, "set": cmdSet,
			"ledgerd":  func(ts *testscript.TestScript, _ bool, args []string) { cmdLedgerd(t, ts, args) },
			"stall":    cmdStall,
			"receipts": func(ts *testscript.TestScript, _ bool, _ []string) { cmdReceipts(t, ts) },
		},
	})
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCode(ts, args[1:]); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// exitCode runs a program.
func exitCode(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		ts.Fatalf("%v", err)
	}
	return exit.ExitCode()
}

func cmdAwaits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	printed := regexp.MustCompile("(?m)" + args[1])
	tooLong := time.After(time.Minute)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		got := exitCode(ts, args[2:])
		if got == want && printed.MatchString(ts.ReadFile("stdout")+ts.ReadFile("stderr")) {
			return
		}
		select {
		case <-tooLong:
			ts.Fatalf("not within a minute: exit code %d, want %d, and what matches %s", got, want, args[1])
		case <-again.C:
		}
	}
}

func cmdSet(ts *testscript.TestScript, _ bool, args []string) {
	value := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) > 1 {
		all := value
		if value = regexp.MustCompile(args[1]).FindString(all); value == "" {
			ts.Fatalf("%s does not match %s", all, args[1])
		}
	}
	ts.Setenv(args[0], value)
}

// daemons is the key of a script's running daemons.
type daemons struct{}

type daemon struct {
	cmd    *exec.Cmd
	output sync.WaitGroup
}

func running(ts *testscript.TestScript) map[string]*daemon {
	m, ok := ts.Value(daemons{}).(map[string]*daemon)
	if !ok {
		ts.Fatalf("the script has no daemons")
	}
	return m
}

func cmdDaemon(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	dir := ts.MkAbs(name)
	args = append([]string{"daemon", "--init", "--repo", dir, "--api", "127.0.0.1:0", "--listen", "/ip4/127.0.0.1/tcp/0"}, args[1:]...)
	bin, err := binaries()
	ts.Check(err)
	d := &daemon{cmd: exec.Command(filepath.Join(bin, "decube-node"), args...)} //nolint:noctx // ends with the script
	d.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	errs := new(strings.Builder)
	d.cmd.Stderr = errs
	out, err := d.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(d.cmd.Start())
	running(ts)[name] = d
	ts.Defer(func() { d.stop(syscall.SIGKILL) })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		if addr, ok := strings.CutPrefix(line, "Listening on "); ok {
			ts.Setenv(name+"_addr", addr)
		}
		if url, ok := strings.CutPrefix(line, "API: "); ok {
			ts.Setenv(name+"_api", url)
		}
		if line == "Daemon is ready" {
			d.output.Go(func() { _, _ = io.Copy(io.Discard, out) })
			return
		}
	}
	_ = d.cmd.Wait() // it has ended, and said why
	ts.Fatalf("the daemon %s did not get ready: %s", name, errs)
}

func cmdHalt(ts *testscript.TestScript, _ bool, args []string) {
	signal := syscall.SIGTERM
	if len(args) > 1 {
		signal = syscall.SIGKILL
	}
	running(ts)[args[0]].stop(signal)
}

// stop sends a signal and waits for the end. It may be called twice.
func (d *daemon) stop(signal syscall.Signal) {
	if d.cmd.ProcessState != nil || d.cmd.Process.Signal(signal) != nil {
		return
	}
	d.output.Wait()
	_ = d.cmd.Wait() // the signal is no clean exit
}
