package rig

import (
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	manet "github.com/multiformats/go-multiaddr/net"
)

// What is planned is a bridge and six places, and no way out of them.
func TestPlan(t *testing.T) {
	p := Standard(7)
	if want := strings.Fields("dch7-hub dch7-victim dch7-giver dch7-taker dch7-newcomer dch7-member dch7-attackers"); !slices.Equal(p.Namespaces(), want) {
		t.Errorf("namespaces %q, want %q", p.Namespaces(), want)
	}
	made := map[string]bool{}
	var lines []string
	for _, args := range p.Commands() {
		line := strings.Join(args, " ")
		lines = append(lines, line)
		if args[0] == "netns" {
			made[args[2]] = true
			continue
		}
		if args[0] != "-n" || !made[args[1]] {
			t.Errorf("%q is not done in a namespace that was made before", line)
		}
		if strings.Contains(line, "default") || strings.Contains(line, "0.0.0.0/0") || strings.Contains(line, "::/0") {
			t.Errorf("%q leads out", line)
		}
	}
	if len(made) != len(p.Namespaces()) {
		t.Errorf("%d namespaces are made of %d", len(made), len(p.Namespaces()))
	}
	for _, want := range []string{
		"-n dch7-hub link add name to-victim type veth peer name eth0 netns dch7-victim",
		"-n dch7-victim addr add 11.0.1.1/16 dev eth0",
		"-n dch7-victim addr add 169.254.77.1/32 dev lo",
		"-n dch7-victim route add 11.64.0.0/16 via 11.0.9.1",
		"-n dch7-newcomer route add 2e00:dec0::/32 via 2e00:dec1::9",
		"-n dch7-attackers route add local 2e00:dec0::/32 dev lo",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("nobody does %q", want)
		}
	}
	for _, s := range p.Places {
		if len("to-"+s.Name) > 15 {
			t.Errorf("%s is too long for the name of an interface", s.Name)
		}
	}
}

// Addresses of daemons and attackers look public, and traps do not.
func TestAddressesLookAsTheyShould(t *testing.T) {
	public := func(a netip.Addr) bool {
		m, err := manet.FromIP(a.AsSlice())
		return err == nil && manet.IsPublicAddr(m)
	}
	all := Scale{Addresses: 512, PerPrefix: 64, V6: true}.Sources(1024)
	for _, s := range Standard(1).Places {
		all = append(all, s.V4, s.V6)
		for _, own := range s.Own {
			if public(own) {
				t.Errorf("the trap %s looks public", own)
			}
		}
	}
	for _, a := range all {
		if !public(a) {
			t.Errorf("%s does not look public", a)
		}
	}
}

func TestSources(t *testing.T) {
	four := Scale{Addresses: 8, PerPrefix: 4}.Sources(64)
	if len(four) != 8 || four[0].String() != "11.64.1.1" || four[7].String() != "11.64.2.4" {
		t.Errorf("%v", four)
	}
	mixed := Scale{Addresses: 512, PerPrefix: 64, V6: true}.Sources(1024)
	seen, six, sites := map[netip.Addr]bool{}, 0, map[netip.Prefix]bool{}
	for _, a := range mixed {
		inside := attackersV4
		if a.Is6() {
			inside = attackersV6
			six++
			site, err := a.Prefix(48)
			if err != nil {
				t.Fatal(err)
			}
			sites[site] = true
		}
		if !inside.Contains(a) {
			t.Errorf("%s is not the attackers'", a)
		}
		seen[a] = true
	}
	if len(mixed) != 1024 || six != 256 || len(sites) != 256 || len(seen) != 512+256 {
		t.Errorf("%d sources, of which %d of IPv6 from %d sites; %d differ", len(mixed), six, len(sites), len(seen))
	}
	for _, a := range (Scale{Addresses: MaxAddresses, PerPrefix: 1000}).Sources(MaxAddresses) {
		if b := a.As4(); b[3] == 0 || b[3] == 255 || !attackersV4.Contains(a) {
			t.Fatalf("%s is no address of a host of the attackers'", a)
		}
	}
}

func TestMaker(t *testing.T) {
	for name, want := range map[string]int{"dch12-victim": 12, "dch12": 12, "dch-victim": 0, "docker0": 0, "dch0-x": 0, "dchx-1": 0} {
		if pid, ok := maker(name); ok != (want != 0) || ok && pid != want {
			t.Errorf("%q: %d, %v, want %d", name, pid, ok, want)
		}
	}
}

func TestAbandoned(t *testing.T) {
	own, dead := Standard(os.Getpid()), exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{own.Namespace(Victim): false, Standard(dead.Process.Pid).Tag + "-1": true, "other-1": false} {
		if got := Abandoned(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ all, attackers, others string }{
		{"0", "", ""}, {"0,1", "1", "0"}, {"2,3,5", "5", "2,3"}, {"0,1,2,3,4,5,6,7", "6,7", "0,1,2,3,4,5"},
	} {
		e, err := parseEnter([]string{"-ns", "x", "-cpus", c.all, "--", "true"})
		if err != nil {
			t.Fatal(err)
		}
		if got := split(e.cpus); join(got[0]) != c.attackers || join(got[1]) != c.others {
			t.Errorf("%s: %v", c.all, got)
		}
	}
}
