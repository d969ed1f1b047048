// Package quiet logs what remote peers can cause: a line a minute of a kind and about a
// peer, with how many were left out.
package quiet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/decube/decube/internal/quiet/limiter"
)

const (
	// interval is the least time between two lines of one kind about one peer.
	interval = time.Minute
	// most is how many kinds and peers are told apart at a time.
	most = 1024
)

// Log is a log that peers cannot fill. It is safe for concurrent use.
type Log struct {
	log *slog.Logger

	mu    sync.Mutex
	lines *limiter.Limiter
}

// New returns a log that writes to another one.
func New(log *slog.Logger) *Log { return &Log{log: log, lines: limiter.New(interval, most)} }

// Write logs a message about a peer, or with an empty one about none, unless the same one
// was logged about it less than a minute ago. The message is the kind: what differs from
// line to line is in args.
func (l *Log) Write(level slog.Level, peer, message string, args ...any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	l.mu.Lock()
	held, ok := l.lines.Allow(time.Now(), message, peer)
	l.mu.Unlock()
	if !ok {
		return
	}
	r := slog.NewRecord(time.Now(), level, message, 0)
	if peer != "" {
		r.Add("peer", peer)
	}
	r.Add(args...)
	if held > 0 {
		r.Add("left_out", held)
	}
	_ = l.log.Handler().Handle(ctx, r) // as slog does: nobody is left to be told
}
