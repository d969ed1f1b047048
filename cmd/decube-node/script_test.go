package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds everything that a script waits for.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){program: main})
}

// TestScripts runs the program as users type it: real processes, real files,
// real exit codes. Beside testscript's own commands there are
//
//	code N decube-node ARG...     runs it, and wants the exit code N
//	start NAME ARG...             starts a daemon on $WORK/NAME, waits until it is ready,
//	                              keeps its standard output in NAME.out and sets
//	                              $NAME_addr, $NAME_listen (addr without its ID), $NAME_id, $NAME_api
//	signal NAME SIGNAL            sends TERM, INT or KILL to it
//	finish NAME N                 waits for its end, and wants the exit code N
//	occupy NAME                   listens on a free TCP port and sets $NAME to it
//	get URL TOKENFILE             prints the answer to a request with the token
//	hold URL TOKENFILE            begins a POST that goes on until the script ends
//	await NAME TEXT               waits until the daemon has written TEXT to standard error
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("DECUBE_PATH", "")
			d := &daemons{running: make(map[string]*process)}
			env.Values[daemonsKey{}] = d
			env.Defer(d.killAll)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":   code,
			"start":  start,
			"signal": sendSignal,
			"finish": finish,
			"occupy": occupy,
			"get":    get,
			"hold":   hold,
			"await":  await,
		},
	})
}

type daemonsKey struct{}

// daemons are the processes that a script has started.
type daemons struct {
	mu      sync.Mutex
	running map[string]*process
}

type process struct {
	cmd  *exec.Cmd
	done chan error
}

func (d *daemons) killAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.running {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = exitCode(<-p.done)   // it was killed: the code says nothing
	}
}

func daemonsOf(ts *testscript.TestScript) *daemons {
	d, ok := ts.Value(daemonsKey{}).(*daemons)
	if !ok {
		ts.Fatalf("no daemons in this script")
	}
	return d
}

func (d *daemons) take(ts *testscript.TestScript, name string, remove bool) *process {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.running[name]
	if p == nil {
		ts.Fatalf("no daemon %s is running", name)
	}
	if remove {
		delete(d.running, name)
	}
	return p
}

func code(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N program arg...")
	}
	err := ts.Exec(args[1], args[2:]...)
	if got := fmt.Sprint(exitCode(err)); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// exitCode returns the exit code of a process that ended with err.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		return -1
	}
}

func start(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	flags := []string{
		"daemon", "--repo", name, "--init", "--network", "test", "--api", "127.0.0.1:0",
		"--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1",
	}
	cmd := exec.CommandContext(context.Background(), program, append(flags, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "PATH="+ts.Getenv("PATH"), "DECUBE_PATH=")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	errors, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	cmd.Stderr = errors
	cmd.Path = lookPath(ts, program)
	ts.Check(cmd.Start())
	ts.Check(errors.Close())
	p := &process{cmd: cmd, done: make(chan error, 1)}
	lines, all := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(all)
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	go func() {
		<-all
		p.done <- cmd.Wait()
	}()
	d := daemonsOf(ts)
	d.mu.Lock()
	d.running[name] = p
	d.mu.Unlock()
	ts.Check(os.WriteFile(ts.MkAbs(name+".out"), []byte(awaitReady(ts, name, lines)), 0o600))
}

// awaitReady returns what a daemon prints up to the line that says it is ready.
func awaitReady(ts *testscript.TestScript, name string, lines <-chan string) string {
	var out strings.Builder
	late := time.After(patience)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				ts.Fatalf("%s ended before it was ready:\n%s", name, ts.ReadFile(name+".err"))
			}
			out.WriteString(line + "\n")
			key, value, _ := strings.Cut(line, ": ")
			switch {
			case line == ready:
				return out.String()
			case key == "Peer ID":
				ts.Setenv(name+"_id", value)
			case key == "API":
				ts.Setenv(name+"_api", value)
			case strings.HasPrefix(line, "Listening on ") && strings.Contains(line, "/tcp/"):
				addr := strings.TrimPrefix(line, "Listening on ")
				listen, _, _ := strings.Cut(addr, "/p2p/")
				ts.Setenv(name+"_addr", addr)
				ts.Setenv(name+"_listen", listen)
			}
		case <-late:
			ts.Fatalf("%s was not ready in time", name)
		}
	}
}

// lookPath finds a program on the script's path, where the one under test is.
func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	ts.Fatalf("%s is not on the path", name)
	return ""
}

func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	ts.Check(daemonsOf(ts).take(ts, args[0], false).cmd.Process.Signal(signals[args[1]]))
}

func finish(ts *testscript.TestScript, _ bool, args []string) {
	p := daemonsOf(ts).take(ts, args[0], true)
	select {
	case err := <-p.done:
		if got := fmt.Sprint(exitCode(err)); got != args[1] {
			ts.Fatalf("%s ended with code %s, want %s:\n%s", args[0], got, args[1], ts.ReadFile(args[0]+".err"))
		}
	case <-time.After(patience):
		ts.Fatalf("%s did not end", args[0])
	}
}

func occupy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

func get(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[0], http.NoBody)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[1])))
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		fmt.Fprintln(ts.Stdout(), s.Text())
	}
	fmt.Fprintln(ts.Stdout(), resp.Status)
}

func hold(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, args[0], strings.NewReader("{}"))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[1])))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req) // returns with the first event
	ts.Check(err)
	ts.Defer(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", args[0], resp.Status)
	}
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for !strings.Contains(ts.ReadFile(args[0]+".err"), args[1]) {
		select {
		case <-look.C:
		case <-late:
			ts.Fatalf("%s did not write %q:\n%s", args[0], args[1], ts.ReadFile(args[0]+".err"))
		}
	}
}
