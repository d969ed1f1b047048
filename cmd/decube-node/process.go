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

// stopWithin bounds an orderly stop: what the API gives its requests, and time
// for the rooms behind it. Whatever takes longer can be cut off: the stores lose
// nothing that they acknowledged.
const stopWithin = 20 * time.Second

// untilSignal returns a context that the first SIGINT or SIGTERM ends. The
// second one, or a stop that takes too long, ends the process.
func untilSignal(ctx context.Context, log *slog.Logger) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			log.Info("stopping; a second signal stops at once", "signal", s.String())
			notify(log, daemon.SdNotifyStopping)
			cancel()
		case <-done:
			return
		}
		select {
		case s := <-signals:
			log.Warn("stopped at once", "signal", s.String())
			os.Exit(exitcode.Failed)
		case <-time.After(stopWithin):
			log.Error("stopping took too long, gave up", "after", stopWithin)
			os.Exit(exitcode.Failed)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
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
