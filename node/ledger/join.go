package ledger

import (
	"errors"
	"fmt"
	"os"

	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/node/host"
)

// ErrVoted is returned by Join for a validator whose earlier votes nobody vouches for.
var ErrVoted = errors.New("the key may have voted before")

// Join makes an existing repository part of a ledger. Where it is part of that one
// already, there is nothing to do; of another one, it returns ledger.ErrGenesis.
//
// A peer whose key is among the first validators must not forget what it has voted
// for, and a repository without a ledger cannot tell. Whoever knows that the key
// has never voted in the ledger says neverVoted; else Join returns ErrVoted. No
// node may be running on the repository.
func Join(dir string, g *genesis.Genesis, neverVoted bool) error {
	if err := repo.Check(dir); err != nil {
		return err
	}
	d := repo.Dir(dir)
	if joined, err := Same(d, g); joined || err != nil {
		return err
	}
	guard, err := repo.Lock(dir)
	if err != nil {
		return err
	}
	return errors.Join(join(d, g, neverVoted), guard.Unlock())
}

func join(d repo.Dir, g *genesis.Genesis, neverVoted bool) error {
	key, err := host.LoadIdentity(d.Identity())
	if err != nil {
		return err
	}
	self, err := host.SigningKey(key)
	if err != nil {
		return err
	}
	if _, votes := g.Set().Replica(self.Public()); votes {
		if !neverVoted {
			return fmt.Errorf("%w: %s is a validator of the ledger; repeat with --never-voted if it has not run as one, else bring back %s as it was last, and no older copy",
				ErrVoted, self.Public(), d.Ledger())
		}
		if err := ledger.Init(d.Ledger(), g); err != nil {
			return err
		}
	}
	return g.Save(d.Genesis())
}

// Same reports whether a repository is part of a ledger. When it is part of
// another one, the error is ledger.ErrGenesis.
func Same(d repo.Dir, g *genesis.Genesis) (bool, error) {
	have, err := load(d)
	switch {
	case err != nil || have == nil:
		return false, err
	case have.ID() != g.ID():
		return false, fmt.Errorf("%w: %s is the genesis %s of %q, not %s of %q",
			ledger.ErrGenesis, d.Genesis(), have.ID(), have.Network, g.ID(), g.Network)
	}
	return true, nil
}

// load returns the document of the ledger that a repository is part of, or
// nil when it is part of none.
func load(d repo.Dir) (*genesis.Genesis, error) {
	g, err := genesis.Load(d.Genesis())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil // no ledger is a common answer
	case err != nil:
		return nil, fmt.Errorf("reading the ledger's document: %w", err)
	}
	return g, nil
}
