package snapshot

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

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

// MaxListed is how many problems, or other things that a tree may have any number of, a
// result names one by one.
const MaxListed = 1000

// Problems gathers what could not be done, in bounded memory: each problem is told as it
// comes, and the first MaxListed are remembered. It is safe for concurrent use.
type Problems struct {
	tell func(Problem)

	mu    sync.Mutex
	first []Problem
	count int64
}

// NewProblems returns an empty Problems. tell, which may be nil, is called with each
// problem, never concurrently.
func NewProblems(tell func(Problem)) *Problems { return &Problems{tell: tell} }

// Add takes note that err kept op from being done to path.
func (p *Problems) Add(path, op string, err error) {
	problem := Problem{Path: path, Op: op, Err: err.Error(), Cause: err}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count++; len(p.first) < MaxListed {
		p.first = append(p.first, problem)
	}
	if p.tell != nil {
		p.tell(problem)
	}
}

// Count returns how many there are.
func (p *Problems) Count() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// List returns the first MaxListed problems, by path.
func (p *Problems) List() []Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := slices.Clone(p.first)
	slices.SortFunc(list, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Op, b.Op))
	})
	return list
}
