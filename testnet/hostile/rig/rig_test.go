package rig

import (
	"slices"
	"strings"
	"testing"
)

// What a place says a command line is, is what it is read as.
func TestInside(t *testing.T) {
	r := &Rig{plan: Standard(3), self: "/bin/self", memory: &memory{dir: "/group", bytes: 1 << 30}, cpus: [2][]int{{1}, {0, 2}}}
	for _, c := range []struct {
		place string
		o     Options
		want  entering
	}{
		{Victim, Options{Limited: true, Resolver: "/r"}, entering{ns: "dch3-victim", cgroup: "/group", resolver: "/r", cpus: []int{0, 2}}},
		{Taker, Options{}, entering{ns: "dch3-taker", cpus: []int{0, 2}}},
		{Attackers, Options{}, entering{ns: "dch3-attackers", cpus: []int{1}}},
	} {
		line := r.Place(c.place).Inside(c.o, "/bin/program", "-flag", "--", "x y")
		if line[0] != "/bin/self" || line[1] != EnterCommand {
			t.Errorf("%s: %q", c.place, line)
		}
		got, err := parseEnter(line[2:])
		if err != nil {
			t.Fatal(err)
		}
		if got.ns != c.want.ns || got.cgroup != c.want.cgroup || got.resolver != c.want.resolver || !slices.Equal(got.cpus, c.want.cpus) ||
			!slices.Equal(got.line, []string{"/bin/program", "-flag", "--", "x y"}) {
			t.Errorf("%s: %+v, want %+v", c.place, got, c.want)
		}
	}
	if about := r.About(); !strings.Contains(about, "1024 MiB") || !strings.Contains(about, "processor 1,") || r.Environ() != nil {
		t.Errorf("%q, %q", about, r.Environ())
	}
	r.memory.dir, r.cpus = "", [2][]int{}
	if about := r.About(); !strings.Contains(about, "GOMEMLIMIT=1024 MiB") || !slices.Equal(r.Environ(), []string{"GOMEMLIMIT=1073741824"}) {
		t.Errorf("%q, %q", about, r.Environ())
	}
}

func TestEnterRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"-ns", "x"}, {"--", "true"}, {"-ns", "x", "-cpus", "0,-1", "--", "true"}, {"-nonsense"}} {
		if err := Enter(args); err == nil {
			t.Errorf("%q was entered", args)
		}
	}
}

func TestGroupsAreRead(t *testing.T) {
	if own, ok := ownGroup("9:name=systemd:/\n4:memory:/a/b\n0::/c\n"); own != "/a/b" || !ok {
		t.Errorf("%q, %v", own, ok)
	}
	if own, ok := ownGroup("0::/c\n"); ok {
		t.Errorf("%q is a group of the second version", own)
	}
	const stat = "cache 5\nrss 6\ntotal_cache 7\nfile 8\n"
	if a, b := statOf(stat, "total_cache"), statOf(stat, "nothing"); a != 7 || b != 0 {
		t.Errorf("%d, %d", a, b)
	}
}
