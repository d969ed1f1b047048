package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/block"
)

// unknown is the CID of a snapshot that nobody has.
func unknown() string { return block.New(block.DagCBOR, []byte("nobody has this")).ID().String() }

// TestArguments gives a running daemon what means nothing.
func TestArguments(t *testing.T) {
	t.Parallel()
	n := start(t, swarm(t), "one", nil)
	source := tree(t, 1, 3, 100)
	kept := create(t, n, source)
	chunk := block.New(block.Raw, []byte("x")).ID().String()
	target := filepath.Join(t.TempDir(), "target")
	notADirectory := filepath.Join(source, "00000")
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"snapshot verify nonsense", 2, []string{`not a CID: "nonsense"`, "a CID looks like bafyrei"}},
		{"snapshot fetch nonsense", 15, []string{`of the name "nonsense"`, "decubectl snapshot find"}},
		{"snapshot find nonsense", 15, []string{`none matches "nonsense"`, "decubectl snapshot list --swarm"}},
		{"snapshot fetch " + kept.CID.String()[:40], 2, []string{"not a CID"}},
		{"snapshot fetch QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", 2, []string{"CIDv0"}},
		{"snapshot fetch bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", 2, []string{"codec 0x70"}},
		{"snapshot fetch " + chunk, 2, []string{"CID of a raw block", "begins with bafyrei"}},
		{"snapshot restore " + chunk + " " + target, 2, []string{"CID of a raw block"}},
		{"snapshot verify " + unknown() + " --timeout 5s", 15, []string{unknown(), "snapshot fetch"}},
		{"snapshot fetch " + unknown() + " --stall 1s", 14, []string{unknown(), `search(es)? found 0 peers, 0 asked`, "decubectl swarm peers"}},
		{"snapshot restore " + unknown() + " " + target + " --stall 1s", 14, []string{unknown(), "found 0 peers"}},
		{"snapshot fetch " + unknown() + " --timeout 1s", 14, []string{unknown()}},
		{"snapshot fetch " + unknown() + " --timeout nonsense", 2, []string{"--timeout"}},
		{"snapshot restore " + kept.CID.String() + " " + notADirectory, 1, []string{"not a directory"}},
		{"snapshot restore " + kept.CID.String() + "/../../etc " + target, 1, []string{"no such path in the snapshot", "etc"}},
		{"snapshot cat " + kept.CID.String() + "/nothing", 1, []string{"no such path"}},
		{"snapshot create /proc/self/nothing", 1, []string{"no such file"}},
		{"snapshot create /dev/null", 1, []string{"/dev/null"}},
		{"snapshot forget " + unknown(), 15, []string{"not kept"}},
		{"swarm connect /ip4/127.0.0.1/tcp/1/p2p/12D3KooWQ1s6Zd2mTP7DPQbmvTr7NrQSAgTX2wSoNt6KuiSzEvvx --timeout 10s", 1, []string{"refused"}},
	} {
		ask(t, n, strings.Fields(c.args)...).ends(t, c.code, c.want...)
	}
	if left := lines(t, target); len(left) > 0 {
		t.Errorf("refused restores left %v", left)
	}
	restore(t, n, kept.CID, target, source)
}

// TestOtherContent restores into a directory that has other content already.
func TestOtherContent(t *testing.T) {
	t.Parallel()
	n := start(t, swarm(t), "one", nil)
	source := tree(t, 2, 3, 100)
	cid := create(t, n, source).CID
	target := t.TempDir()
	mine, own := filepath.Join(target, "00001"), filepath.Join(target, "own")
	write(t, mine, []byte("mine"))
	write(t, own, []byte("own"))
	is := func(path, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is %.20q, %v; want %.20q", path, got, err, want)
		}
	}
	ask(t, n, "snapshot", "restore", cid.String(), target).ends(t, 1, "other content", "00001", "nothing was written", "--overwrite or --skip-existing")
	if got := lines(t, target); len(got) != 2 {
		t.Errorf("a refused restore left %v", got)
	}
	ask(t, n, "snapshot", "restore", cid.String(), target, "--skip-existing").ends(t, 0)
	is(mine, "mine")
	ask(t, n, "snapshot", "restore", cid.String(), target, "--overwrite").ends(t, 0)
	is(mine, string(noise(2, 300)[100:200]))
	is(own, "own")
}

// TestStarting starts daemons where one runs already, on ports that are taken and
// on repositories of the future.
func TestStarting(t *testing.T) {
	t.Parallel()
	n := start(t, swarm(t), "one", nil)
	path := []string{"DECUBE_PATH=" + n.Repo()}
	daemon := func(flags ...string) []string { return append([]string{"daemon"}, flags...) }
	program(t, "decube-node", daemon("--api", "127.0.0.1:0"), path).ends(t, 11, "in use", `held by process \d+ \(decube-node\)`)

	other := []string{"DECUBE_PATH=" + filepath.Join(t.TempDir(), "other")}
	program(t, "decube-node", []string{"init"}, other).ends(t, 0)
	var listen net.ListenConfig
	taken, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	program(t, "decube-node", daemon("--api", taken.Addr().String(), "--listen", "/ip4/127.0.0.1/tcp/0"), other).
		ends(t, 16, "address already in use", port)
	program(t, "decube-node", daemon("--api", "127.0.0.1:0", "--listen", "/ip4/127.0.0.1/tcp/"+port), other).
		ends(t, 16, "in use by another program", port)

	write(t, filepath.Join(strings.TrimPrefix(other[0], "DECUBE_PATH="), "version"), []byte("99\n"))
	program(t, "decube-node", daemon("--api", "127.0.0.1:0"), other).ends(t, 1, "has version 99", "upgrade", "nothing was changed")
	program(t, "decubectl", []string{"snapshot", "list"}, other).ends(t, 1, "has version 99", "upgrade")

	// None of it has disturbed the first.
	ask(t, n, "id").ends(t, 0)
	if err := n.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReaching calls daemons that are not there and with what is not their token.
func TestReaching(t *testing.T) {
	t.Parallel()
	n := start(t, swarm(t), "one", nil)
	token := filepath.Join(n.Repo(), "api-token")
	right, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	wrong := []byte(strings.Repeat("0", len(strings.TrimSpace(string(right)))) + "\n")
	if err := os.WriteFile(token, wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	source := tree(t, 3, 1, 100)
	for _, command := range []string{"id", "snapshot list", "snapshot create " + source, "snapshot fetch " + unknown()} {
		ask(t, n, strings.Fields(command)...).ends(t, 12, "token")
	}
	if err := os.WriteFile(token, right, 0o600); err != nil {
		t.Fatal(err)
	}
	ask(t, n, "id").ends(t, 0)

	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	// A daemon that was killed leaves its socket and its address behind.
	ask(t, n, "id").ends(t, 13, "start it with|daemon")
	ask(t, n, "snapshot", "fetch", unknown()).ends(t, 13, "daemon")
	ask(t, n, "snapshot", "list").ends(t, 0, "No daemon is running")
	ask(t, n, "id", "--api", "http://127.0.0.1:1").ends(t, 13, "127.0.0.1:1")
}
