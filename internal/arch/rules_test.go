package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// graph makes a graph from lines of "package: imports", where paths that begin with
// "./" are the module's.
func graph(lines ...string) Graph {
	g := Graph{}
	for _, line := range lines {
		path, imports, _ := strings.Cut(line, ":")
		p := &Package{ImportPath: expand(path), Doc: "Package does something."}
		for i := range strings.FieldsSeq(imports) {
			p.Imports = append(p.Imports, expand(i))
		}
		g[p.ImportPath] = p
	}
	return g
}

// expand puts the module before paths that begin with "./".
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "./"); ok {
		return Module + "/" + rest
	}
	return path
}

const libp2p = "github.com/libp2p/go-libp2p"

func TestRulesFindViolations(t *testing.T) {
	for name, c := range map[string]struct {
		packages []string
		where    string // of the one violation expected first, "" for none
		what     string
	}{
		"the house as it should be": {
			packages: []string{
				"./cmd/decube-node: ./node ./node/kernel ./internal/exitcode",
				"./cmd/decubectl: ./api/client ./snapshot ./blockstore ./internal/exitcode",
				"./testnet/demo: ./testnet/cluster",
				"./testnet/cluster: os time",
				"./node: ./node/kernel ./node/content ./node/ledger ./dht",
				"./node/content: ./node/kernel ./node/content/x ./api/server ./protocols/exchange",
				"./node/content/x: ./node/kernel",
				"./node/ledger: ./node/kernel ./api/server/ledgerapi ./ledger",
				"./node/kernel: ./api/server ./dht ./blockstore",
				"./api/server: ./api github.com/danielgtaylor/huma/v2",
				"./api/server/ledgerapi: ./api/server ./ledger",
				"./api: ./ledger/tx",
				"./api/client: ./api ./snapshot",
				"./protocols/exchange: ./snapshot " + libp2p,
				"./snapshot: ./blockstore",
				"./dht: " + libp2p,
				"./blockstore: ./block",
				"./ledger/quorum: fmt slices",
				"fmt: os",
			},
		},
		"upward":                          {[]string{"./blockstore: ./snapshot"}, "blockstore", "blockstore -> snapshot"},
		"upward by way of internal":       {[]string{"./blockstore: ./internal/x", "./internal/x: ./api"}, "blockstore", "blockstore -> internal/x -> api"},
		"sideways":                        {[]string{"./ledger: ./crdtsync/crdt"}, "ledger", "ledger -> crdtsync/crdt"},
		"sideways on the roof":            {[]string{"./testnet/demo: ./cmd/decubectl"}, "testnet/demo", "testnet/demo -> cmd/decubectl"},
		"the API knows the node":          {[]string{"./api/server: ./node"}, "api/server", "api/server -> node"},
		"a protocol knows another":        {[]string{"./protocols/exchange/codec: ./protocols/statesync"}, "protocols/exchange/codec", "protocols/exchange/codec -> protocols/statesync"},
		"a protocol's own packages":       {[]string{"./protocols/exchange: ./protocols/exchange/codec"}, "", ""},
		"a program knows the other":       {[]string{"./cmd/decubectl: ./cmd/decube-node/flags"}, "cmd/decubectl", "cmd/decubectl -> cmd/decube-node/flags"},
		"a room without a floor":          {[]string{"./util: fmt"}, "util", `the room "util" is on no floor`},
		"the command line links libp2p":   {[]string{"./cmd/decubectl: ./api/client", "./api/client: example.org/x", "example.org/x: " + libp2p + "/core/peer"}, "api/client", "api/client -> example.org/x -> " + libp2p + "/core/peer"},
		"libp2p's other modules are fine": {[]string{"./cmd/decubectl: github.com/libp2p/go-buffer-pool"}, "", ""},
		"the command line links a server": {[]string{"./cmd/decubectl: ./api/server"}, "cmd/decubectl", "cmd/decubectl -> api/server"},
		"the store talks to the network":  {[]string{"./blockstore: " + libp2p}, "blockstore", "blockstore -> " + libp2p},
		"the server links the network":    {[]string{"./api/server: ./protocols/exchange"}, "api/server", "api/server -> protocols/exchange"},
		"a disk in memory ships":          {[]string{"./cmd/decube-node: ./ledger", "./ledger: ./internal/durable/faultfs"}, "cmd/decube-node", "cmd/decube-node -> ledger -> internal/durable/faultfs"},
		"the simulator has its disks":     {[]string{"./testnet/sim: ./internal/durable/faultfs"}, "", ""},
		"an attacker borrows a codec":     {[]string{"./testnet/hostile/attack: ./protocols/exchange"}, "testnet/hostile/attack", "testnet/hostile/attack -> protocols/exchange"},
		"a daemon writes files":           {[]string{"./node: ./api/local", "./api/local: ./snapshot/restore"}, "api/local", "api/local -> snapshot/restore"},
		"a daemon reads files":            {[]string{"./node: ./snapshot/create"}, "node", "node -> snapshot/create"},
		"reading a snapshot opens a file": {[]string{"./api/local: ./snapshot", "./snapshot: ./snapshot/fsys"}, "api/local", "api/local -> snapshot -> snapshot/fsys"},
		"decubectl takes snapshots":       {[]string{"./cmd/decubectl: ./snapshot/create ./snapshot/restore"}, "", ""},
		"a core reads the clock":          {[]string{"./ledger/pbft: time"}, "ledger/pbft", "ledger/pbft imports time"},
		"a core is told instants":         {[]string{"./ledger/follow: time ./ledger/pbft", "./ledger/pbft: fmt"}, "", ""},
		"values are told instants":        {[]string{"./ledger/intake: time ./ledger/tx", "./ledger/tx: time log/slog"}, "", ""},
		"values are logged":               {[]string{"./ledger/intake: fmt log"}, "ledger/intake", "ledger/intake imports log"},
		"a core locks":                    {[]string{"./crdtsync/crdt: sync"}, "crdtsync/crdt", "crdtsync/crdt imports sync"},
		"a core reads the disk below":     {[]string{"./ledger/pbft: ./ledger/quorum fmt", "./ledger/quorum: os"}, "ledger/pbft", "ledger/quorum imports os"},
		"a pure function sleeps":          {[]string{"./ledger/body: fmt time"}, "ledger/body", "ledger/body imports time"},
		"a pure function's values":        {[]string{"./ledger/body: cmp ./ledger/tx", "./ledger/tx: time log/slog"}, "", ""},
		"a driver draws from a seed":      {[]string{"./ledger/driver: time math/rand/v2 ./ledger/pbft", "./ledger/pbft: fmt"}, "", ""},
		"a driver reads the disk":         {[]string{"./ledger/driver: os"}, "ledger/driver", "ledger/driver imports os"},
		"a driver knows its shell":        {[]string{"./ledger/driver: ./ledger/shell"}, "ledger/driver", "ledger/driver -> ledger/shell"},
		"a driver looks into states":      {[]string{"./ledger/driver: ./ledger/state"}, "ledger/driver", "ledger/driver imports ledger/state"},
		"a driver holds states":           {[]string{"./ledger/driver: ./ledger/exec", "./ledger/exec: ./ledger/state"}, "", ""},
		"values draw":                     {[]string{"./ledger/body: math/rand/v2"}, "ledger/body", "ledger/body imports math/rand/v2"},
		"a policy asks the clock":         {[]string{"./ledger/admission: fmt time"}, "ledger/admission", "ledger/admission imports time"},
		"who is served depends on a lock": {[]string{"./internal/admission: time net/netip sync"}, "internal/admission", "internal/admission imports sync"},
		"a policy's keys":                 {[]string{"./ledger/admission: ./internal/sig", "./internal/sig: sync"}, "", ""},
		"a core links a library":          {[]string{"./ledger/quorum: example.org/x"}, "ledger/quorum", "ledger/quorum imports example.org/x"},
		"a driver may do all that":        {[]string{"./ledger: ./ledger/pbft os time net", "./ledger/pbft: fmt", "fmt: os"}, "", ""},
		"a part knows another":            {[]string{"./node/heal: ./node/content"}, "node/heal", "node/heal -> node/content"},
		"a part knows another by a room":  {[]string{"./node/heal: ./node/host", "./node/host: ./node/content"}, "node/heal", "node/heal -> node/host -> node/content"},
		"a part knows the list":           {[]string{"./node/heal: ./node"}, "node/heal", "node/heal -> node"},
		"the kernel knows a part":         {[]string{"./node/kernel: ./node/heal"}, "node/kernel", "node/kernel -> node/heal"},
		"the kernel knows the list":       {[]string{"./node/kernel: ./node"}, "node/kernel", "node/kernel -> node"},
		"a program knows a part":          {[]string{"./cmd/decube-node: ./node/heal"}, "cmd/decube-node", "cmd/decube-node -> node/heal"},
		"a program knows the list":        {[]string{"./cmd/decube-node: ./node", "./node: ./node/heal"}, "", ""},
		"the kernel knows a protocol":     {[]string{"./node/kernel: ./protocols/exchange"}, "node/kernel", "node/kernel -> protocols/exchange"},
		"the kernel knows the ledger":     {[]string{"./node/kernel: ./ledger/tx"}, "node/kernel", "node/kernel -> ledger/tx"},
		"the server knows the ledger":     {[]string{"./api/server: ./ledger"}, "api/server", "api/server -> ledger"},
		"a group knows the ledger":        {[]string{"./api/server/swarmapi: ./ledger/tx"}, "api/server/swarmapi", "api/server/swarmapi -> ledger/tx"},
		"a name that only begins alike":   {[]string{"./snapshot: ./internal/nodes github.com/libp2p/go-libp2p-record"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Imports(graph(c.packages...))
			switch {
			case c.where == "" && len(got) > 0:
				t.Errorf("unexpected: %v", got)
			case c.where != "" && len(got) == 0:
				t.Error("not found")
			case c.where != "" && (got[0].Where != c.where || got[0].What != c.what || got[0].Reason == ""):
				t.Errorf("found %v, want %s: %s", got[0], c.where, c.what)
			}
		})
	}
}

func TestSourcesFindViolations(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	long := strings.Repeat("\n", MaxLines)
	comment := write("comment.go", "// Package a is nothing yet.\npackage a\n")
	code := write("code.go", "package a\n\nvar X = 1\n")
	most := write("most.go", long)
	more := write("more.go", long+"\n")
	generated := write("generated.go", "// Code generated by hand. DO NOT EDIT.\n"+long)
	for name, c := range map[string]struct {
		p    Package
		want string
	}{
		"well kept":            {Package{Doc: "d", GoFiles: []string{code}, TestGoFiles: []string{comment}}, ""},
		"tested from outside":  {Package{Doc: "d", GoFiles: []string{code}, XTestGoFiles: []string{comment}}, ""},
		"a comment only":       {Package{Doc: "d", GoFiles: []string{comment}}, ""},
		"no comment":           {Package{GoFiles: []string{comment}}, "a: no package comment\n\t" + reasonComment},
		"no test":              {Package{Doc: "d", GoFiles: []string{comment, code}}, "a: no test\n\t" + reasonTest},
		"a suite for others":   {Package{Doc: "d", GoFiles: []string{code}, Imports: []string{"testing"}}, ""},
		"as long as may be":    {Package{Doc: "d", TestGoFiles: []string{most}}, ""},
		"too long":             {Package{Doc: "d", TestGoFiles: []string{more}}, "a/more.go: 501 lines\n\t" + reasonLines},
		"too long, by machine": {Package{Doc: "d", TestGoFiles: []string{generated}}, ""},
		"too long elsewhere":   {Package{Doc: "d", IgnoredGoFiles: []string{more}}, "a/more.go: 501 lines\n\t" + reasonLines},
	} {
		t.Run(name, func(t *testing.T) {
			c.p.ImportPath, c.p.Dir = expand("./a"), dir
			got, err := Sources(Graph{c.p.ImportPath: &c.p})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0].String() != c.want) {
				t.Errorf("found %v, want %q", got, c.want)
			}
		})
	}
}

func TestCoresAreReplayed(t *testing.T) {
	for name, c := range map[string]struct{ code, what, reason string }{
		"arithmetic":      {"func f() time.Duration { return time.Second }", "", ""},
		"a clock":         {"func f() time.Duration { return time.Since(time.Time{}) }", "time.Since", reasonClock},
		"a seed":          {"var r = rand.NewChaCha8([32]byte{})", "", ""},
		"chance":          {"var r = rand.IntN(2)", "rand.IntN", reasonChance},
		"a goroutine":     {"func f() { go f() }", "a go statement", reasonAlone},
		"a channel":       {"var c chan int", "a channel", reasonAlone},
		"another's field": {"func f(x struct{ y struct{ Now int } }) int { return x.y.Now }", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := t.TempDir(), "core.go"
			if err := os.WriteFile(filepath.Join(dir, file), []byte("package driver\n\n"+c.code+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := &Package{ImportPath: expand("./ledger/driver"), Dir: dir, Doc: "d", GoFiles: []string{file}, TestGoFiles: []string{file}}
			got, err := Sources(Graph{p.ImportPath: p})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.what == "" && len(got) == 0:
			case len(got) == 1 && got[0] == Violation{"ledger/driver/core.go", c.what, c.reason}:
			default:
				t.Errorf("found %v, want %q", got, c.what)
			}
		})
	}
}

func TestPartsShareNothing(t *testing.T) {
	for name, c := range map[string]struct{ in, code, what, reason string }{
		"errors":             {"./node/content", "var (\n\t_ = 1\n\tErrX, errY = f(), f()\n)", "", ""},
		"constants":          {"./node/content", "const x = 1", "", ""},
		"a table":            {"./node/content", "var table = []int{1}", "the variable table", reasonVariable},
		"the kernel's":       {"./node/kernel", "var count int", "the variable count", reasonVariable},
		"another's":          {"./node/host", "var count int", "", ""},
		"init":               {"./node/content", "func init() {}", "an init function", reasonInit},
		"a method":           {"./node/content", "func (p part) init() {}", "", ""},
		"a stored kernel":    {"./node/content", "type p struct { k *kernel.Kernel }", "a field that holds the kernel", reasonStored},
		"an embedded kernel": {"./node/content", "type p struct { *kernel.Kernel }", "a field that holds the kernel", reasonStored},
		"a kernel passed on": {"./node/content", "func f(k *kernel.Kernel) {}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := t.TempDir(), "part.go"
			if err := os.WriteFile(filepath.Join(dir, file), []byte("package content\n\n"+c.code+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := &Package{ImportPath: expand(c.in), Dir: dir, Doc: "d", GoFiles: []string{file}, TestGoFiles: []string{file}}
			got, err := Sources(Graph{p.ImportPath: p})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.what == "" && len(got) == 0:
			case len(got) == 1 && got[0] == Violation{short(p.ImportPath) + "/part.go", c.what, c.reason}:
			default:
				t.Errorf("found %v, want %q", got, c.what)
			}
		})
	}
}

func TestStreamsAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ in, code, what string }{
		"a protocol's own":      {"./protocols/x", "func f(h host) { h.SetStreamHandler(id, nil) }", "SetStreamHandler"},
		"a part's":              {"./node/x", "func f(k *kernel.Kernel) { k.Host.SetStreamHandler(id, nil) }", "SetStreamHandler"},
		"of several protocols":  {"./protocols/x", "func f(h host) { h.SetStreamHandlerMatch(id, nil, nil) }", "SetStreamHandlerMatch"},
		"of the network":        {"./node/kernel", "func f(h host) { h.Network().SetStreamHandler(nil) }", "SetStreamHandler"},
		"set later":             {"./protocols/x", "func f(h host) { set := h.SetStreamHandler; set(id, nil) }", "SetStreamHandler"},
		"below one who may":     {"./dht/x", "func f(h host) { h.SetStreamHandler(id, nil) }", "SetStreamHandler"},
		"an interface":          {"./protocols/x", "type host interface { SetStreamHandler(string, func()) }", ""},
		"a method":              {"./protocols/x", "func (h host) SetStreamHandler(string, func()) {}", ""},
		"the shell's":           {"./internal/streams", "func f(h host) { h.SetStreamHandler(id, nil) }", ""},
		"the DHT's":             {"./dht", "func f(h host) { h.SetStreamHandler(id, nil) }", ""},
		"the host's":            {"./node/host", "func f(h host) { h.SetStreamHandler(id, nil) }", ""},
		"one that is taken off": {"./protocols/x", "func f(h host) { h.RemoveStreamHandler(id) }", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := t.TempDir(), "part.go"
			if err := os.WriteFile(filepath.Join(dir, file), []byte("package x\n\n"+c.code+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := &Package{ImportPath: expand(c.in), Dir: dir, Doc: "d", GoFiles: []string{file}, TestGoFiles: []string{file}}
			got, err := Sources(Graph{p.ImportPath: p})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.what == "" && len(got) == 0:
			case len(got) == 1 && got[0] == Violation{short(p.ImportPath) + "/part.go", c.what, reasonHandler}:
			default:
				t.Errorf("found %v, want %q", got, c.what)
			}
		})
	}
}

func TestFacesStaySmall(t *testing.T) {
	for fields, want := range map[string]int{"a, b int; c, d, e, f, g string; h, i, j, k, l, m, n, o int": 0, "a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p int": 1} {
		dir, file := t.TempDir(), "ledger.go"
		text := "package ledger\n\ntype Ledger struct { " + fields + " }\n\ntype other struct { " + fields + " }\n"
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &Package{ImportPath: expand("./ledger"), Dir: dir, Doc: "d", GoFiles: []string{file}, TestGoFiles: []string{file}}
		got, err := Sources(Graph{p.ImportPath: p})
		if err != nil || len(got) != want {
			t.Errorf("%s: found %v, %v, want %d", fields, got, err, want)
		}
	}
}

func TestTopLevelFindsWhatIsMissing(t *testing.T) {
	repository := fstest.MapFS{}
	for _, name := range topLevel {
		repository[name] = &fstest.MapFile{}
	}
	if got := TopLevel(repository); len(got) > 0 {
		t.Errorf("unexpected: %v", got)
	}
	delete(repository, "LICENSE")
	if got := TopLevel(repository); len(got) != 1 || got[0].Where != "LICENSE" {
		t.Errorf("found %v, want LICENSE", got)
	}
}
