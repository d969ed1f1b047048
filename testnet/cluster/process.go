package cluster

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a started daemon.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when the line was printed
	done  chan struct{} // closed when the process has ended and was waited for
}

// startProcess starts cmd with both outputs going to log, which it closes at the
// end of the process. The process dies with this one.
func startProcess(cmd *exec.Cmd, log *os.File, line string) (*process, error) {
	p := &process{cmd: cmd, ready: make(chan struct{}), done: make(chan struct{})}
	cmd.Stdout = &watcher{log: log, line: []byte(line), seen: p.ready}
	cmd.Stderr = log
	cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	go p.run(log, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run starts the process and waits for it on one thread: the kernel takes the
// death of the thread that started a process for the death of its parent.
func (p *process) run(log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer log.Close()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	// How the process ended is in its state; see err.
	_ = p.cmd.Wait()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// alive reports whether there is a process that has not ended.
func (p *process) alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// err returns nil for a process that ended with exit code 0. It may be called
// after done is closed.
func (p *process) err() error {
	if p.cmd.ProcessState.Success() {
		return nil
	}
	return &exec.ExitError{ProcessState: p.cmd.ProcessState}
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill ends the process and waits for it. A process that has ended already is
// all the same.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// watcher copies what is written to log and closes seen at the first line that
// is exactly line.
type watcher struct {
	log  *os.File
	line []byte
	rest []byte // the beginning of a line, until seen
	seen chan struct{}
	over bool
}

func (w *watcher) Write(b []byte) (int, error) {
	if !w.over {
		w.look(b)
	}
	return w.log.Write(b)
}

func (w *watcher) look(b []byte) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return
		}
		w.rest = rest
		if bytes.Equal(bytes.TrimRight(line, "\r"), w.line) {
			w.over, w.rest = true, nil
			close(w.seen)
			return
		}
	}
}
