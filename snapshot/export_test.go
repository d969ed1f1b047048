package snapshot

import "time"

// WithClock makes a snapshot look at another clock than this machine's.
func WithClock(opts CreateOptions, now func() time.Time) CreateOptions {
	opts.now = now
	return opts
}

// Foreign makes a snapshot believe that the files' times are of a clock that it does not
// know, as those of a network file system are.
func Foreign(opts CreateOptions) CreateOptions {
	opts.foreign = true
	return opts
}
