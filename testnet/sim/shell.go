package sim

import (
	"context"
	"log/slog"
	"strings"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/shell"
)

// shellOf is the shell that a program runs on.
type shellOf = shell.Shell

// openShell opens a program's disk.
func openShell(ctx context.Context, p *program) (*shell.Shell, driver.Recovered, error) {
	n, w := p.n, p.n.w
	return shell.Open(ctx, shell.Options{
		Genesis: w.genesis, Core: w.core, Self: n.key.Public(),
		FS: n.disk.fs, Dir: replicaDir, Store: storeOf(n), SegmentSize: w.cfg.SegmentSize, Segments: w.cfg.Segments,
		StateEvery: w.cfg.StateEvery, Votes: n.votes, Log: logOf(n), Sigs: w.verifier, Ballots: w.verifier, Workers: 2,
		Lanes:   p.newLane,
		Deliver: func(events []driver.Event) { p.post(events...) },
		Outside: outside{p},
	})
}

// outside is what the shell has no part in: the network, sources, clients, observers.
type outside struct{ p *program }

var _ shell.Outside = outside{}

// SetValidators implements shell.Outside.
func (o outside) SetValidators(keys []sig.PublicKey) {
	o.p.validators = keys
	o.p.n.w.wires.changed()
}

// Send implements shell.Outside.
func (o outside) Send(to sig.PublicKey, class driver.Class, frame []byte) bool {
	n := o.p.n
	n.w.oracle.sent(n, class, frame)
	n.w.wires.send(n, to, class, frame)
	return true
}

// Ask implements shell.Outside.
func (o outside) Ask(a driver.Ask) { o.p.ask(a) }

// Stop implements shell.Outside.
func (o outside) Stop(s driver.Stop) {
	if a := o.p.asks[s.Ask]; a != nil {
		a.over = true
		delete(o.p.asks, s.Ask)
	}
}

// Credit implements shell.Outside.
func (o outside) Credit(c driver.Credit) {
	if a := o.p.asks[c.Ask]; a != nil {
		a.credit(c.Bytes)
	}
}

// Answer implements shell.Outside.
func (o outside) Answer(a driver.Answer) {
	n := o.p.n
	n.w.tickets.answer(n, a)
}

// Publish implements shell.Outside.
func (o outside) Publish(v *driver.View) {
	p := o.p
	p.n.w.oracle.published(p.n, v)
	p.has(v)
	p.view = v
	for _, s := range p.serving {
		s.wake()
	}
}

// Note implements shell.Outside.
func (o outside) Note(what driver.Notice) { o.p.n.w.oracle.noted(o.p.n, what) }

// Halt implements shell.Outside.
func (o outside) Halt(err error) { o.p.n.halt(err) }

// logOf returns where a node's shell logs to: the trace, when that is written.
func logOf(n *node) *slog.Logger {
	if n.w.lines.out == nil {
		return nil
	}
	return slog.New(slog.NewTextHandler(logLines{n}, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // it would be that of the machine that simulates
			}
			return a
		},
	}))
}

// logLines writes a node's log into the trace.
type logLines struct{ n *node }

// Write implements io.Writer.
func (l logLines) Write(b []byte) (int, error) {
	l.n.trace("logs", strings.TrimSpace(string(b)))
	return len(b), nil
}
