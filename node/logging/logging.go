// Package logging makes the daemon's logger, and leads what the libraries log
// into it: go-libp2p logs through gologshim, kad-dht through go-log and zap.
package logging

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
	"go.uber.org/zap/zapcore"

	"github.com/decube/decube/internal/config"
)

// Config is the log section of the settings.
type Config struct {
	Level     Level  // debug, info, warn or error
	Format    Format // text or json
	Libraries Level  // level for what libp2p and its kin log
}

// Level is the name of a level, from which on messages are written.
type Level string

// Format is how a message is written.
type Format string

// The formats.
const (
	Text Format = "text" // key=value pairs
	JSON Format = "json" // one object per line
)

// Default returns the settings of an ordinary daemon.
func Default() Config {
	return Config{Level: "info", Format: Text, Libraries: "error"}
}

// Validate checks the names.
func (c Config) Validate() error {
	var problems []error
	for key, level := range map[string]Level{"level": c.Level, "libraries": c.Libraries} {
		if _, err := level.slog(); err != nil {
			problems = append(problems, config.Invalid(key, string(level), "must be debug, info, warn or error"))
		}
	}
	if c.Format != Text && c.Format != JSON {
		problems = append(problems, config.Invalid("format", string(c.Format), "must be text or json"))
	}
	return errors.Join(problems...)
}

func (l Level) slog() (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(l))
	return level, err
}

// New returns a logger that writes to w. It is safe for concurrent use.
func New(w io.Writer, cfg Config) (*slog.Logger, error) {
	level, err := cfg.Level.slog()
	if err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == JSON {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}

var routeOnce sync.Once

// RouteLibraries leads what libraries log into log, from a level on. Only the
// first call in a process has an effect, and it must come before a host is made.
func RouteLibraries(log *slog.Logger, from Level) error {
	level, err := from.slog()
	if err != nil {
		return err
	}
	routeOnce.Do(func() {
		h := floor{log.Handler(), level}
		gologshim.SetDefaultHandler(h)
		golog.SetPrimaryCore(zapCore{handler: h})
		golog.SetAllLoggers(golog.LogLevel(zapLevel(level)))
	})
	return nil
}

// floor drops what is below a level.
type floor struct {
	slog.Handler

	level slog.Level
}

func (f floor) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= f.level && f.Handler.Enabled(ctx, level)
}

func (f floor) WithAttrs(attrs []slog.Attr) slog.Handler {
	return floor{f.Handler.WithAttrs(attrs), f.level}
}

func (f floor) WithGroup(name string) slog.Handler {
	return floor{f.Handler.WithGroup(name), f.level}
}

// zapCore hands zap's entries to a slog handler.
type zapCore struct {
	handler slog.Handler
}

func (c zapCore) Enabled(level zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), slogLevel(level))
}

func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{c.handler.WithAttrs(attrs(fields))}
}

func (c zapCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, slogLevel(e.Level), e.Message, 0)
	if e.LoggerName != "" {
		r.AddAttrs(slog.String("logger", e.LoggerName))
	}
	r.AddAttrs(attrs(fields)...)
	return c.handler.Handle(context.Background(), r)
}

func (c zapCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	list := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		f.AddTo(enc)
		list = append(list, slog.Any(f.Key, enc.Fields[f.Key]))
	}
	return list
}

func slogLevel(l zapcore.Level) slog.Level {
	switch l {
	case zapcore.DebugLevel:
		return slog.LevelDebug
	case zapcore.InfoLevel:
		return slog.LevelInfo
	case zapcore.WarnLevel:
		return slog.LevelWarn
	default:
		return slog.LevelError
	}
}

func zapLevel(l slog.Level) zapcore.Level {
	switch {
	case l < slog.LevelInfo:
		return zapcore.DebugLevel
	case l < slog.LevelWarn:
		return zapcore.InfoLevel
	case l < slog.LevelError:
		return zapcore.WarnLevel
	default:
		return zapcore.ErrorLevel
	}
}
