package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/decube/decube/internal/exitcode"
)

// stopWithin bounds an orderly stop, whose steps have bounds of their own: what is longer
// than all of them together hangs. It can be cut off: the stores lose nothing that they
// acknowledged.
const stopWithin = time.Minute

// untilSignal returns a context that the first SIGINT or SIGTERM ends, and one that the
// second ends, from which on what is not finished is not waited for. The third one, or a
// stop that takes too long, ends the process.
func untilSignal(ctx context.Context, log *slog.Logger) (running, patient context.Context, stop context.CancelFunc) {
	running, end := context.WithCancel(ctx)
	patient, hurry := context.WithCancel(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		late := make(<-chan time.Time) // never, until the stop begins
		for _, act := range []func(s os.Signal){
			func(s os.Signal) {
				log.Info("stopping; after a second signal nothing is waited for", "signal", s.String())
				notify(log, daemon.SdNotifyStopping)
				end()
				late = time.After(stopWithin)
			},
			func(s os.Signal) {
				log.Warn("stopping without waiting; a third signal stops at once", "signal", s.String())
				hurry()
			},
			func(s os.Signal) {
				log.Warn("stopped at once", "signal", s.String())
				os.Exit(exitcode.Failed)
			},
		} {
			select {
			case s := <-signals:
				act(s)
			case <-late:
				log.Error("stopping took too long, gave up", "after", stopWithin)
				os.Exit(exitcode.Failed)
			case <-done:
				return
			}
		}
	}()
	return running, patient, func() {
		signal.Stop(signals)
		close(done)
		end()
		hurry()
	}
}

// notifyReady tells systemd, if that started the daemon, that it serves.
func notifyReady(log *slog.Logger) { notify(log, daemon.SdNotifyReady) }

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd was not notified", "state", state, "err", err)
	}
}

// watchdog tells systemd regularly that the process is alive, where its unit asks
// for that. The returned function ends it.
func watchdog(ctx context.Context, log *slog.Logger) (stop func()) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every / 2)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				notify(log, daemon.SdNotifyWatchdog)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
