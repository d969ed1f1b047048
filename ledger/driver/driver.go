// Package driver is the driver of the ledger.
package driver

import "time"

// Driver decides.
type Driver struct{}

// New returns a driver.
func New(cfg Config, from Recovered, now Instant) (*Driver, []Effect, error) { return nil, nil, nil }

// Step takes one event.
func (d *Driver) Step(now Instant, e Event) []Effect { return nil }

// Deadline returns when Step is to be called at the latest, in Instant.Mono.
func (d *Driver) Deadline() time.Duration { return 0 }
