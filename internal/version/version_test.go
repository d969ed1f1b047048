package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestFill(t *testing.T) {
	build := &debug.BuildInfo{
		Main: debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	var info Info
	fill(&info, build)
	if info.Version != "v1.2.3" || info.Commit != "0123456789abcdef+dirty" {
		t.Errorf("from the build: %+v", info)
	}
	linked := Info{Version: "2.0.0", Commit: "feed"}
	fill(&linked, build)
	if linked.Version != "2.0.0" || linked.Commit != "feed" {
		t.Errorf("the linker's values are kept: %+v", linked)
	}
}

func TestGetAlwaysHasAVersion(t *testing.T) {
	info := Get()
	if info.Version == "" || info.Go == "" || !strings.Contains(info.Platform, "/") {
		t.Errorf("%+v", info)
	}
	if got := info.UserAgent("decube-node"); !strings.HasPrefix(got, "decube-node/") {
		t.Error(got)
	}
}
