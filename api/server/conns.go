package server

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// conns bounds the connections of each network, those that sessions have taken over not
// counted: each takes a descriptor, also of who has no token, and the store needs some. Where
// there are too many, the one that has waited longest for its next request makes room for a
// newcomer; where none waits the newcomer goes. It is safe for concurrent use.
type conns struct {
	most int

	mu  sync.Mutex
	all map[string]map[net.Conn]time.Time // by network; since when one waits, zero if it does not
}

func newConns(most int) *conns {
	return &conns{most: most, all: map[string]map[net.Conn]time.Time{}}
}

// changed is an http.Server's ConnState.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	if leaves := c.note(conn, state, time.Now()); leaves != nil {
		_ = leaves.Close() // it is gone in any case
	}
}

// note notes what a connection does, and returns one that has to go, or nil.
func (c *conns) note(conn net.Conn, state http.ConnState, now time.Time) (leaves net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	network := conn.LocalAddr().Network()
	of := c.all[network]
	if of == nil {
		of = map[net.Conn]time.Time{}
		c.all[network] = of
	}
	_, known := of[conn]
	switch state {
	case http.StateNew:
		if len(of) >= c.most {
			if leaves = longest(of); leaves == nil {
				return conn
			}
			delete(of, leaves)
		}
		of[conn] = now
	case http.StateActive:
		if known {
			of[conn] = time.Time{}
		}
	case http.StateIdle:
		if known {
			of[conn] = now
		}
	case http.StateHijacked, http.StateClosed:
		delete(of, conn)
	}
	return leaves
}

// longest returns who has waited longest, or nil.
func longest(of map[net.Conn]time.Time) (first net.Conn) {
	for conn, since := range of {
		if !since.IsZero() && (first == nil || since.Before(of[first])) {
			first = conn
		}
	}
	return first
}
