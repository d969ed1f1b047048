package arch

import (
	"fmt"
	"slices"
	"strings"
)

// floors are the rooms from the top of the house to the ground. A package may
// reach packages of its own room and of the floors below.
var floors = [][]string{
	{"cmd", "testnet"},
	{"node"},
	{"api"},
	{"protocols"},
	{"ledger", "crdtsync", "snapshot", "dht"},
	{"blockstore"},
	{"internal"},
	{"block"},
}

// apart are the rooms whose packages do not know each other either, tests aside.
var apart = map[string]string{
	"cmd":       "a program is thin: what two of them need is a room's",
	"protocols": "protocols are independent, so that one can change without the others",
}

// forbidden are the packages that a part of the code must not reach by any chain
// of imports.
var forbidden = []struct {
	from, never []string
	reason      string
}{
	{
		from: []string{"cmd/decubectl"},
		never: []string{
			Module + "/node", Module + "/protocols", Module + "/dht", Module + "/api/server",
			"github.com/libp2p/go-libp2p", "github.com/libp2p/go-libp2p-kad-dht", "github.com/danielgtaylor/huma",
		},
		reason: "decubectl talks to a daemon through api/client: it starts at once and is small because it links no network stack and no server",
	},
	{
		from:   []string{"api/client", "snapshot", "blockstore"},
		never:  []string{"github.com/libp2p/go-libp2p", "github.com/danielgtaylor/huma"},
		reason: "decubectl links this room, and must not link the network stack or the server's framework",
	},
	{
		from:   []string{"api", "node", "protocols", "cmd/decube-node"},
		never:  []string{Module + "/snapshot/create", Module + "/snapshot/restore", Module + "/snapshot/fsys"},
		reason: "files are read and written by decubectl, with the rights of who calls it; a daemon only handles blocks",
	},
	{
		from: []string{"ledger", "crdtsync"},
		never: []string{
			"github.com/libp2p/go-libp2p", "github.com/danielgtaylor/huma",
		},
		reason: "ledger and catalog declare what they need of a network, and know none",
	},
	{
		from:   []string{"ledger/tx", "internal/sig", "ledger/genesis", "ledger/receipt"},
		never:  []string{Module + "/ledger/archive", Module + "/ledger/wal", "github.com/dgraph-io/badger"},
		reason: "decubectl verifies receipts with this, without a store",
	},
	{
		from:   []string{"internal/records/memstore", "internal/records/storetest"},
		never:  []string{"github.com/dgraph-io/badger"},
		reason: "who keeps records knows the store by an interface alone, so that the simulator runs it without a disk",
	},
	{
		from:   []string{"ledger/driver"},
		never:  []string{Module + "/ledger/archive", Module + "/ledger/shell"},
		reason: "the driver decides and the shell carries out: what the disk holds comes in as values",
	},
	{
		from:   []string{"api/server"},
		never:  []string{Module + "/protocols", Module + "/dht", "github.com/libp2p/go-libp2p"},
		reason: "the server declares what it needs of a node; node joins the two",
	},
	{
		from:   []string{"testnet/hostile"},
		never:  []string{Module + "/node", Module + "/protocols", Module + "/dht"},
		reason: "attackers meet a daemon as strangers do, with bytes of their own: who borrows the packages that are attacked says nothing that they do not",
	},
	{
		from:   []string{"cmd", "node", "api", "protocols", "ledger", "crdtsync", "snapshot", "dht", "blockstore"},
		never:  []string{Module + "/internal/durable/faultfs"},
		reason: "a disk in memory that loses and lies is for tests and the simulator; what ships gets a durable.FS",
	},
}

// sansIO are the cores that a run can be replayed through from a seed.
var sansIO = []string{"ledger/pbft", "ledger/quorum", "ledger/follow", "crdtsync/crdt"}

// timed are the cores that are told instants. They may name durations, and must not
// look at a clock: see checkClock.
var timed = []string{"crdtsync/bundle", "crdtsync/counting", "crdtsync/driver", "crdtsync/fault", "crdtsync/literal", "crdtsync/query", "crdtsync/writer", "internal/admission", "internal/quiet/limiter", "ledger/driver", "ledger/follow", "ledger/intake"}

// chancy are those that are given a seed: they may draw from it, and from nothing else.
var chancy = []string{"ledger/driver"}

// values are packages without input, output, goroutine, lock or clock of their own, on
// top of rooms that have some for others: what they may import is looked at, and not
// what that imports in its turn.
var values = []string{"crdtsync/bundle", "crdtsync/counting", "crdtsync/digest", "crdtsync/driver", "crdtsync/fault", "crdtsync/fold", "crdtsync/literal", "crdtsync/query", "crdtsync/replica", "crdtsync/writer", "internal/admission", "internal/capability", "internal/quiet/limiter", "ledger/admission", "ledger/body", "ledger/codec", "ledger/driver", "ledger/exec", "ledger/intake", "snapshot/ignore"}

// blind are those that hold states and do not look into them: ledger/exec does, in jobs.
var (
	blind  = []string{"ledger/driver"}
	states = []string{"ledger/state", "internal/smt"}
)

// pure are the standard packages a core may import itself. What they import in
// their turn is not looked at: fmt reaches os, but formatting a value does not.
var pure = []string{
	"bytes", "cmp", "crypto/sha256", "encoding/binary", "encoding/base64", "encoding/hex", "errors", "fmt", "hash", "iter",
	"maps", "math", "math/big", "math/bits", "net/netip", "regexp", "slices", "sort", "strconv", "strings", "unicode", "unicode/utf8",
}

const (
	reasonArrows = "imports run down the house, never up or sideways; declare the interface you need, and let node join the rooms"
	reasonFloor  = "a room without a floor has no import rules: give it one in internal/arch and in docs/design/architecture.md"
	reasonValues = "a package of pure functions imports values and arithmetic only, so that the simulator runs it as it is: instants come in as arguments"
	reasonStates = "what a state says may have to be read from the disk: only ledger/exec looks, beside the driver"
	reasonSansIO = "a core without input or output imports values and arithmetic only: time enters as ticks, randomness as input, and the driver persists and sends"
)

// Imports checks every rule about who may import whom.
func Imports(g Graph) []Violation {
	var out []Violation
	for _, p := range g.ours() {
		out = slices.Concat(out, checkArrows(g, p), checkApart(g, p), checkForbidden(g, p), checkSansIO(g, p), checkValues(p),
			checkParts(g, p), checkDirect(p))
	}
	return out
}

// room returns the first element of a package's path within the module.
func room(path string) string {
	name, _, _ := strings.Cut(short(path), "/")
	return name
}

// floor returns how far below the roof a room is, or -1.
func floor(room string) int {
	return slices.IndexFunc(floors, func(rooms []string) bool { return slices.Contains(rooms, room) })
}

func checkArrows(g Graph, p *Package) []Violation {
	own := room(p.ImportPath)
	level := floor(own)
	if level < 0 {
		return []Violation{{short(p.ImportPath), fmt.Sprintf("the room %q is on no floor", own), reasonFloor}}
	}
	chain := g.chain(p.ImportPath, func(path string) bool {
		return within(path, Module) && room(path) != own && floor(room(path)) <= level
	})
	return broken(p, chain, reasonArrows)
}

func checkApart(g Graph, p *Package) []Violation {
	own := room(p.ImportPath)
	reason, ok := apart[own]
	if !ok {
		return nil
	}
	part := func(path string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(short(path), own+"/"), "/")
		return name
	}
	chain := g.chain(p.ImportPath, func(path string) bool {
		return within(path, Module+"/"+own) && part(path) != part(p.ImportPath)
	})
	return broken(p, chain, reason)
}

func checkForbidden(g Graph, p *Package) []Violation {
	var out []Violation
	for _, rule := range forbidden {
		if !withinAny(short(p.ImportPath), rule.from) {
			continue
		}
		for _, never := range rule.never {
			chain := g.chain(p.ImportPath, func(path string) bool { return within(path, never) })
			out = append(out, broken(p, chain, rule.reason)...)
		}
	}
	return out
}

// checkSansIO looks at what a core imports and at what the module's packages
// below it import.
func checkSansIO(g Graph, p *Package) []Violation {
	if !withinAny(short(p.ImportPath), sansIO) {
		return nil
	}
	allowed := func(path string) bool {
		return slices.Contains(pure, path) || within(path, Module) || (path == "time" && withinAny(short(p.ImportPath), timed))
	}
	reached := []string{p.ImportPath}
	for i := 0; i < len(reached); i++ {
		q := g[reached[i]]
		if q == nil {
			continue
		}
		for _, path := range q.Imports {
			if !allowed(path) {
				what := fmt.Sprintf("%s imports %s", short(q.ImportPath), path)
				return []Violation{{short(p.ImportPath), what, reasonSansIO}}
			}
			if within(path, Module) && !slices.Contains(reached, path) {
				reached = append(reached, path)
			}
		}
	}
	return nil
}

// checkValues looks at what a package of pure functions imports itself.
func checkValues(p *Package) []Violation {
	if !withinAny(short(p.ImportPath), values) {
		return nil
	}
	for _, path := range p.Imports {
		if within(path, Module) && slices.Contains(blind, short(p.ImportPath)) && slices.Contains(states, short(path)) {
			return []Violation{{short(p.ImportPath), fmt.Sprintf("%s imports %s", short(p.ImportPath), short(path)), reasonStates}}
		}
		told := path == "time" && withinAny(short(p.ImportPath), timed) || path == "math/rand/v2" && withinAny(short(p.ImportPath), chancy)
		if !slices.Contains(pure, path) && !within(path, Module) && !told {
			return []Violation{{short(p.ImportPath), fmt.Sprintf("%s imports %s", short(p.ImportPath), path), reasonValues}}
		}
	}
	return nil
}

func broken(p *Package, chain []string, reason string) []Violation {
	if chain == nil {
		return nil
	}
	return []Violation{{short(p.ImportPath), strings.Join(chain, " -> "), reason}}
}
