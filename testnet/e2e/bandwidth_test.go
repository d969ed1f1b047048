package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
)

// TestBandwidth fetches from a daemon whose bytes are bounded: it takes as long as those need,
// and the daemon says what passes.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	c := swarm(t)
	giver := start(t, c, "giver", []string{"DECUBE_P2P_BANDWIDTH_UPLOAD=8MiB", "DECUBE_P2P_BANDWIDTH_UPLOAD_STRANGERS=8MiB"})
	taker := start(t, c, "taker", nil, giver)
	const size = 64 << 20
	cid := create(t, giver, tree(t, 20, 4, size/4)).CID
	since := time.Now()
	fetch(t, taker, cid)
	took := time.Since(since)
	t.Logf("64 MiB at 8 MiB/s took %v", took)
	if took < 7500*time.Millisecond || took > 13*time.Second {
		t.Errorf("64 MiB at 8 MiB/s took %v", took)
	}
	res := decode[api.Resources](t, ask(t, giver, "swarm", "resources", "--json"))
	if !res.Bandwidth.Bounded || len(res.Bandwidth.Classes) != 6 {
		t.Fatalf("bandwidth %+v", res.Bandwidth)
	}
	for i, limit := range []int64{8 << 20, 8 << 20, 0} { // of all, strangers and members, upwards
		if got := res.Bandwidth.Classes[i]; got.Limit != limit || i < 2 && got.Bytes < size {
			t.Errorf("bandwidth %+v", got)
		}
	}
	text := ask(t, giver, "swarm", "resources")
	text.ends(t, 0)
	for _, want := range []string{"upload +strangers +8(.0)? MiB/s", "download +all +none"} {
		if !regexp.MustCompile(want).MatchString(text.out) {
			t.Errorf("no %q in\n%s", want, text.out)
		}
	}
}

// TestBandwidthSettings gives a daemon bounds that make no sense.
func TestBandwidthSettings(t *testing.T) {
	t.Parallel()
	path := "DECUBE_PATH=" + t.TempDir() + "/repo"
	program(t, "decube-node", []string{"init"}, []string{path}).ends(t, 0)
	for set, want := range map[string]string{
		"UPLOAD=1KiB":          `p2p\.bandwidth\.upload = 1KiB: must be 0 for no bound, or at least 16KiB a second`,
		"DOWNLOAD_STRANGERS=1": `p2p\.bandwidth\.download_strangers = 1: must be 0 for no bound`,
		"DOWNLOAD=fast":        `p2p\.bandwidth\.download = "fast": want a number of bytes`,
	} {
		program(t, "decube-node", []string{"config", "validate"}, []string{path, "DECUBE_P2P_BANDWIDTH_" + set}).ends(t, 2, want)
	}
	both := []string{path, "DECUBE_P2P_BANDWIDTH_UPLOAD=1MiB", "DECUBE_P2P_BANDWIDTH_UPLOAD_STRANGERS=2MiB"}
	program(t, "decube-node", []string{"config", "validate"}, both).ends(t, 2, `p2p\.bandwidth\.upload_strangers = 2MiB: must be at most upload, which is 1MiB a second`)
	shown := program(t, "decube-node", []string{"config", "show"}, both[:2])
	shown.ends(t, 0)
	if !strings.Contains(shown.out, "upload: 1MiB") {
		t.Errorf("the settings do not show the bound:\n%s", shown.out)
	}
}
