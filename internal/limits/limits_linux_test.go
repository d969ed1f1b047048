package limits

import (
	"testing"
	"testing/fstest"
)

func TestMemoryOf(t *testing.T) {
	const host = "MemTotal:       16777216 kB\nMemFree: 1 kB\n" // 16 GiB
	for what, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing":    {nil, 0},
		"no cgroups": {map[string]string{"proc/meminfo": host}, 16 * gib},
		"unreadable": {map[string]string{"proc/meminfo": "MemTotal: many kB\nMemTotal"}, 0},
		"version 2, a service": {map[string]string{
			"proc/meminfo":        host,
			"proc/self/cgroup":    "0::/system.slice/decube.service\n",
			"proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			"sys/fs/cgroup/system.slice/decube.service/memory.max": "2147483648\n",
			"sys/fs/cgroup/system.slice/memory.max":                "max\n",
		}, 2 * gib},
		"version 2, the least is above": {map[string]string{
			"proc/meminfo":               host,
			"proc/self/cgroup":           "0::/a/b/c\n",
			"proc/self/mountinfo":        "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.max": "4294967296\n", "sys/fs/cgroup/a/b/c/memory.max": "max\n",
		}, gib},
		"version 2, a container": {map[string]string{
			"proc/meminfo":             host,
			"proc/self/cgroup":         "0::/\n",
			"proc/self/mountinfo":      "30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max": "268435456\n",
		}, gib / 4},
		"version 2, a container that sees a group outside": {map[string]string{
			"proc/meminfo":             host,
			"proc/self/cgroup":         "0::/../../other\n",
			"proc/self/mountinfo":      "30 23 0:26 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max": "268435456\n",
		}, gib / 4},
		"version 2, a group is mounted": {map[string]string{
			"proc/meminfo":                   host,
			"proc/self/cgroup":               "0::/docker/one/inner\n",
			"proc/self/mountinfo":            "30 23 0:26 /docker/one /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max":       "1073741824\n",
			"sys/fs/cgroup/inner/memory.max": "536870912\n",
		}, gib / 2},
		"version 1": {map[string]string{
			"proc/meminfo":     host,
			"proc/self/cgroup": "12:pids:/x\n9:cpu,memory:/docker/one\n0::/\n",
			"proc/self/mountinfo": "40 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
				"41 30 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
			"sys/fs/cgroup/memory/docker/one/memory.limit_in_bytes": "3221225472\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":            "9223372036854771712\n",
			"sys/fs/cgroup/pids/x/memory.limit_in_bytes":            "4096\n",
		}, 3 * gib},
		"a mount with a space": {map[string]string{
			"proc/meminfo":         host,
			"proc/self/cgroup":     "0::/\n",
			"proc/self/mountinfo":  "30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n",
			"my groups/memory.max": "1073741824\n",
		}, gib},
		"garbage": {map[string]string{
			"proc/meminfo": host, "proc/self/cgroup": "\n:\n0::\nx", "proc/self/mountinfo": " - \n1 2 3 4 5 - cgroup2\n- - -",
		}, 16 * gib},
		"more than the machine has": {map[string]string{
			"proc/meminfo": host, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max": "99999999999999\n",
		}, 16 * gib},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryOf(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", what, got, c.want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	if m.Memory < 64<<20 || m.Files < 16 || m.GoMemory() >= m.Memory || m.GoMemory() < m.Memory/2 {
		t.Errorf("%+v, %d for Go", m, m.GoMemory())
	}
	if none := (Machine{}).GoMemory(); none != 0 {
		t.Errorf("of an unknown machine Go may use %d bytes", none)
	}
}
