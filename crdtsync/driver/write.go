package driver

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/writer"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// ownQuota is what a peer grants itself in its own space. What it accrues in a second is more
// than a first bundle charges, so that who restarts need not wait for others.
var ownQuota = capability.Quota{Burst: 1 << 30, Daily: 16 << 30, Total: 1 << 60}

// ownLife is how long it does.
const ownLife = 50 * 365 * 24 * time.Hour

// Exact returns the path that one is short for where this peer writes: in a public swarm its own
// space. It returns bundle.ErrInvalid for what is no path.
func (d *Driver) Exact(path string) (string, error) {
	key, rest, err := cutSpace(path)
	switch {
	case err != nil:
		return "", err
	case key.IsZero() && d.public():
		path = capability.Space(d.self) + path
	case !key.IsZero() && !d.public():
		return "", fmt.Errorf("%w: %q: a private swarm has no spaces", bundle.ErrInvalid, path)
	}
	if collection, name, ok := strings.Cut(rest, "/"); !ok || collection == "" || name == "" || len(path) > bundle.MaxPath {
		return "", fmt.Errorf("%w: %q, want collection/key of at most %d bytes", bundle.ErrInvalid, path, bundle.MaxPath)
	}
	return path, nil
}

// Write makes operations one change, whose bundles it returns; see [writer.Writer.Write]. Their
// documents have exact paths of one space. It may be acknowledged when the effects are durable.
func (d *Driver) Write(now int64, ops []bundle.Operation) ([]*bundle.Bundle, error) {
	w, s, err := d.writer(now, ops)
	if err != nil {
		return nil, err
	}
	c := w.Capability()
	made, err := w.Write(now, s.replica.State(), s.replica.Charged(d.self, c.ID()), ops)
	if err != nil {
		return nil, err
	}
	for _, b := range made {
		if _, err := d.link(now, s, b); err != nil {
			return nil, fmt.Errorf("own bundle %v %d: %w", b.Origin, b.Sequence, err)
		}
		d.effects.Publish = append(d.effects.Publish, Item{Bundle: b})
	}
	d.updated(s)
	return made, nil
}

// writer returns who writes operations, and where.
func (d *Driver) writer(now int64, ops []bundle.Operation) (*writer.Writer, *space, error) {
	if len(ops) == 0 {
		return nil, nil, fmt.Errorf("%w: no operation", bundle.ErrInvalid)
	}
	key, _, err := cutSpace(ops[0].Document)
	if err != nil {
		return nil, nil, err
	}
	if key == d.self && d.ownCapability(now) == nil {
		if err := d.makeOwn(now); err != nil {
			return nil, nil, err
		}
	}
	s := d.spaces[key]
	if s == nil {
		return nil, nil, fmt.Errorf("%w: to write %q: nothing of that space is held", capability.ErrDenied, ops[0].Document)
	}
	c := d.granted(now, s, ops)
	if c == nil {
		return nil, nil, fmt.Errorf("%w: no capability of this peer lets it write %q", capability.ErrDenied, ops[0].Document)
	}
	w := d.writers[c.ID()]
	if last := d.clock.Last().Wall; last > now && last-now > int64(aheadFollowed) {
		// The clock was set back, or was ahead before: in a new origin time may begin anew.
		d.clock, w = crdt.NewClock(crdt.Time{}, int64(aheadFollowed)), nil
		clear(d.writers)
	}
	if w == nil {
		w = writer.New(d.o.Key, c, d.o.Random(), d.clock, d.o.Began)
		if d.fresh[c.ID()] || d.complete {
			w.Complete()
		}
		d.writers[c.ID()] = w
	}
	return w, s, nil
}

// granted returns a capability of this peer that stands and lets it write all of operations, or
// nil: of several the one that lasts longest.
func (d *Driver) granted(now int64, s *space, ops []bundle.Operation) *capability.Capability {
	var best *capability.Capability
	for _, i := range s.statements {
		c := i.Capability
		if c == nil || c.Audience != d.self || slices.ContainsFunc(ops, func(op bundle.Operation) bool { return !c.Allows(capability.Write, op.Document) }) {
			continue
		}
		if _, revoked, err := s.set.Standing(c.ID(), d.self); err != nil || revoked != nil || !inTime(c, now) {
			continue
		}
		if _, cut := s.replica.Faults().From(d.self, c.ID()); cut {
			continue
		}
		if best == nil || c.Expires > best.Expires || c.Expires == best.Expires && lower(c, best) {
			best = c
		}
	}
	return best
}

func lower(a, b *capability.Capability) bool {
	x, y := a.ID(), b.ID()
	return slices.Compare(x[:], y[:]) < 0
}

// inTime reports whether a capability can be written under now: one that begins later would date
// what is written so far ahead that others do not take it in.
func inTime(c *capability.Capability, now int64) bool {
	return crdt.Milli(c.NotBefore).Wall <= now+int64(aheadFollowed) && now < crdt.Milli(c.Expires).Wall
}

// ownCapability returns what this peer has granted itself in its own space and is in time, or
// nil: one that was made when the clock was wrong is of no use.
func (d *Driver) ownCapability(now int64) *capability.Capability {
	s := d.spaces[d.self]
	if s == nil {
		return nil
	}
	for _, i := range s.statements {
		if c := i.Capability; c != nil && c.Issuer == d.self && c.Audience == d.self && inTime(c, now) {
			return c
		}
	}
	return nil
}

// makeOwn has this peer grant itself to write in its own space.
func (d *Driver) makeOwn(now int64) error {
	c := &capability.Capability{
		Swarm: d.o.Document.Swarm(), Audience: d.self, NotBefore: now / int64(time.Millisecond), Expires: (now + int64(ownLife)) / int64(time.Millisecond),
		Quota: ownQuota, Grants: []capability.Grant{{Verbs: capability.Read | capability.Write | capability.Certify, Scope: capability.Space(d.self)}},
	}
	binary.BigEndian.PutUint64(c.Nonce[:], d.o.Random())
	binary.BigEndian.PutUint64(c.Nonce[8:], d.o.Random())
	c.Sign(d.o.Key)
	if _, err := d.takeCapability(Item{Capability: c}); err != nil {
		return fmt.Errorf("the own space: %w", err)
	}
	d.fresh[c.ID()] = true
	d.effects.Publish = append(d.effects.Publish, Item{Capability: c})
	return nil
}

// Own returns the key of this peer.
func (d *Driver) Own() sig.PublicKey { return d.self }

// Complete says that a peer was asked for all that it holds, and that this one has it now: so
// it knows what it has written in earlier lives.
func (d *Driver) Complete() {
	d.complete = true
	for _, w := range d.writers {
		w.Complete()
	}
}
