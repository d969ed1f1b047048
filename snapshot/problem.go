package snapshot

// Problem is one thing that could not be done; the rest went on.
type Problem struct {
	Path string `json:"path"` // relative to the top; empty for the top itself
	Op   string `json:"op"`
	Err  string `json:"error"`
	// Cause is the error itself, for errors.Is.
	Cause error `json:"-"`
}

// Error implements error.
func (p Problem) Error() string { return p.Op + " " + p.Path + ": " + p.Err }

// Unwrap returns the cause.
func (p Problem) Unwrap() error { return p.Cause }
