package host

import (
	"testing"

	"github.com/libp2p/go-libp2p"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/decube/decube/internal/limits"
)

// Limits follow what this process may use, whatever machine it runs on.
func TestLimitsFollowTheProcess(t *testing.T) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	system := func(m limits.Machine) rcmgr.ResourceLimits {
		l := scaleTo(&scaling, m)
		return l.ToPartialLimitConfig().System
	}
	small, large := system(limits.Machine{Memory: 256 << 20, Files: 1024}), system(limits.Machine{Memory: 64 << 30, Files: 1 << 20})
	if small.Memory >= 256<<20 || small.FD > 512 || large.Memory < 4<<30 || large.FD < 1<<18 {
		t.Errorf("of 256 MiB libp2p may have %d bytes and %d descriptors, of 64 GiB %d and %d", small.Memory, small.FD, large.Memory, large.FD)
	}
	unknown := system(limits.Machine{Files: 1024})
	auto := scaling.AutoScale()
	if want := auto.ToPartialLimitConfig().System; unknown != want {
		t.Errorf("of a machine that is not known libp2p may have %+v, want %+v", unknown, want)
	}
}
