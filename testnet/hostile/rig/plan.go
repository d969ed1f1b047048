package rig

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Plan says which places there are.
type Plan struct {
	// Tag begins the names of all that is made on the machine.
	Tag    string
	Places []Site
}

// Site is a place of a plan: a namespace with one interface.
type Site struct {
	Name string // at most 10 bytes
	// V4 and V6 are its addresses on the bridge, of which all are neighbours.
	V4, V6 netip.Addr
	// Behind are prefixes of which every address is the place's own.
	Behind []netip.Prefix
	// Own are further addresses that no other place can reach.
	Own []netip.Addr
}

// The names of the places of the standard plan.
const (
	Victim    = "victim"
	Giver     = "giver"
	Taker     = "taker"
	Newcomer  = "newcomer"
	Member    = "member"
	Attackers = "attackers"
)

// Where the attackers' addresses are.
var (
	attackersV4 = netip.MustParsePrefix("11.64.0.0/16")
	attackersV6 = netip.MustParsePrefix("2e00:dec0::/32")
)

// traps are addresses in the victim's own network that strangers must not lead it to;
// loopback is there anyway.
var traps = []netip.Addr{
	netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("172.20.77.1"), netip.MustParseAddr("192.168.77.1"),
	netip.MustParseAddr("100.64.77.1"), netip.MustParseAddr("169.254.77.1"), netip.MustParseAddr("fd77::1"),
}

// Standard returns the plan with the six places, made by the process pid.
func Standard(pid int) Plan {
	site := func(name string, n byte) Site {
		v6 := netip.MustParseAddr("2e00:dec1::").As16()
		v6[15] = n
		return Site{Name: name, V4: netip.AddrFrom4([4]byte{11, 0, n, 1}), V6: netip.AddrFrom16(v6)}
	}
	victim, attackers := site(Victim, 1), site(Attackers, 9)
	victim.Own = traps
	attackers.Behind = []netip.Prefix{attackersV4, attackersV6}
	return Plan{
		Tag:    tag(pid),
		Places: []Site{victim, site(Giver, 2), site(Taker, 3), site(Newcomer, 4), site(Member, 5), attackers},
	}
}

// tag returns what begins the names of what the process pid makes.
func tag(pid int) string { return prefix + strconv.Itoa(pid) }

const prefix = "dch"

// maker returns the process that has made what is called so, if it was made by this
// package.
func maker(name string) (pid int, ok bool) {
	digits, found := strings.CutPrefix(name, prefix)
	if !found {
		return 0, false
	}
	digits, _, _ = strings.Cut(digits, "-")
	pid, err := strconv.Atoi(digits)
	return pid, err == nil && pid > 0
}

// Abandoned reports whether what is called so was made for a plan of a process that is
// gone: namespaces, control groups, and whatever else has a name that begins with
// [Plan.Tag] and a dash.
func Abandoned(name string) bool {
	pid, ok := maker(name)
	return ok && gone(pid)
}

// Namespace returns the name of a place's namespace.
func (p Plan) Namespace(place string) string { return p.Tag + "-" + place }

const hub = "hub"

// Namespaces returns all of them.
func (p Plan) Namespaces() []string {
	out := []string{p.Namespace(hub)}
	for _, s := range p.Places {
		out = append(out, p.Namespace(s.Name))
	}
	return out
}

// Commands returns the arguments of ip(8) that make what is planned, in order.
func (p Plan) Commands() [][]string {
	var out [][]string
	add := func(format string, args ...any) { out = append(out, strings.Fields(fmt.Sprintf(format, args...))) }
	bridge := p.Namespace(hub)
	add("netns add %s", bridge)
	add("-n %s link add name %s type bridge", bridge, hub)
	add("-n %s link set %s up", bridge, hub)
	for _, s := range p.Places {
		ns := p.Namespace(s.Name)
		add("netns add %s", ns)
		add("-n %s link set lo up", ns)
		add("-n %s link add name to-%s type veth peer name eth0 netns %s", bridge, s.Name, ns)
		add("-n %s link set to-%s master %s up", bridge, s.Name, hub)
		add("-n %s link set eth0 up", ns)
		add("-n %s addr add %s/16 dev eth0", ns, s.V4)
		add("-n %s addr add %s/64 dev eth0 nodad", ns, s.V6)
		for _, own := range s.Own {
			add("-n %s addr add %s/%d dev lo", ns, own, own.BitLen())
		}
		for _, behind := range s.Behind {
			add("-n %s route add local %s dev lo", ns, behind)
		}
	}
	for _, s := range p.Places {
		for _, to := range p.Places {
			for _, behind := range to.Behind {
				if to.Name != s.Name {
					add("-n %s route add %s via %s", p.Namespace(s.Name), behind, to.through(behind))
				}
			}
		}
	}
	return out
}

// through returns the address of a site of the family of a prefix.
func (s Site) through(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		return s.V4
	}
	return s.V6
}

// Scale is from how many addresses attackers come.
type Scale struct {
	// Addresses of IPv4, and how many of them share a /24.
	Addresses, PerPrefix int
	// V6 has one identity in four come from an address of IPv6, each from a /48 of its
	// own in one /32.
	V6 bool
}

// Sources returns where n identities come from, in turn.
func (s Scale) Sources(n int) []netip.Addr {
	per := max(1, min(s.PerPrefix, 200))
	v4 := make([]netip.Addr, 0, s.Addresses)
	base := attackersV4.Addr().As4()
	for i := range s.Addresses {
		base[2], base[3] = byte(1+i/per), byte(1+i%per)
		v4 = append(v4, netip.AddrFrom4(base))
	}
	if !s.V6 || len(v4) == 0 {
		return v4
	}
	out := make([]netip.Addr, n)
	six := attackersV6.Addr().As16()
	for i := range out {
		if i%4 < 3 {
			out[i] = v4[(i-i/4)%len(v4)]
			continue
		}
		six[4], six[5], six[15] = byte(i>>10), byte(i>>2), 1
		out[i] = netip.AddrFrom16(six)
	}
	return out
}

// MaxAddresses is the most addresses of IPv4 that a scale may have.
const MaxAddresses = 2048
