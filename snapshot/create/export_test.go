package create

import "time"

// WithClock makes a snapshot look at another clock than this machine's.
func WithClock(opts Options, now func() time.Time) Options {
	opts.now = now
	return opts
}

// Foreign makes a snapshot believe that the files' times are of a clock that it does not
// know, as those of a network file system are.
func Foreign(opts Options) Options {
	opts.foreign = true
	return opts
}
