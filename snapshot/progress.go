package snapshot

import (
	"sync/atomic"
	"time"
)

// Progress is how far an operation has come.
type Progress struct {
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
	Path  string `json:"path"` // something being worked on, relative
}

// Report calls tell ten times a second until stop is called, and a last time then.
func Report(tell func(Progress), now func() Progress, path *atomic.Pointer[string]) (stop func()) {
	if tell == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	once := func() {
		p := now()
		if s := path.Load(); s != nil {
			p.Path = *s
		}
		tell(p)
	}
	go func() {
		defer close(ended)
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				once()
			case <-done:
				once()
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
