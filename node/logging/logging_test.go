package logging_test

import (
	"errors"
	"strings"
	"testing"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/node/logging"
)

func TestLibrariesLogIntoOurLogger(t *testing.T) {
	var out strings.Builder
	log, err := logging.New(&out, logging.Config{Level: "info", Format: logging.JSON})
	if err != nil {
		t.Fatal(err)
	}
	if err := logging.RouteLibraries(log, "warn"); err != nil {
		t.Fatal(err)
	}
	shim := gologshim.Logger("swarm2")
	shim.Info("quiet one")
	shim.Warn("loud one", "peer", "ann")
	zap := golog.Logger("dht")
	zap.Infow("quiet two")
	zap.Errorw("loud two", "peer", "bob")
	got := out.String()
	for _, want := range []string{`"msg":"loud one"`, `"peer":"ann"`, `"msg":"loud two"`, `"peer":"bob"`, `"logger":"dht"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "quiet") {
		t.Errorf("below the level:\n%s", got)
	}
}

func TestFormatsAndLevels(t *testing.T) {
	var out strings.Builder
	log, err := logging.New(&out, logging.Default())
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("no")
	log.Info("yes", "n", 1)
	if got := out.String(); !strings.Contains(got, "msg=yes n=1") || strings.Contains(got, "msg=no") {
		t.Errorf("got %s", got)
	}
}

func TestValidate(t *testing.T) {
	good := logging.Default()
	if err := config.Validate(&good); err != nil {
		t.Error(err)
	}
	bad := logging.Config{Level: "loud", Format: "xml", Libraries: "error"}
	err := config.Validate(&bad)
	if !errors.Is(err, config.ErrInvalid) || strings.Count(err.Error(), "must be") != 2 {
		t.Errorf("got %v", err)
	}
}
