package create

import (
	"os/user"
	"strconv"
	"strings"
	"sync"
)

// owners finds the names of users and groups, each once.
type owners struct {
	mu     sync.RWMutex
	users  map[uint32]string
	groups map[uint32]string
}

func newOwners() *owners {
	return &owners{users: make(map[uint32]string), groups: make(map[uint32]string)}
}

func (o *owners) user(id uint32) string {
	return o.name(o.users, id, func(s string) (string, error) {
		u, err := user.LookupId(s)
		if err != nil {
			return "", err
		}
		return u.Username, nil
	})
}

func (o *owners) group(id uint32) string {
	return o.name(o.groups, id, func(s string) (string, error) {
		g, err := user.LookupGroupId(s)
		if err != nil {
			return "", err
		}
		return g.Name, nil
	})
}

// name returns an empty name for an ID that has none.
func (o *owners) name(known map[uint32]string, id uint32, find func(string) (string, error)) string {
	o.mu.RLock()
	name, ok := known[id]
	o.mu.RUnlock()
	if ok {
		return name
	}
	name, err := find(strconv.FormatUint(uint64(id), 10))
	if err != nil || len(name) > 255 {
		name = ""
	}
	name = strings.ToValidUTF8(name, "")
	o.mu.Lock()
	known[id] = name
	o.mu.Unlock()
	return name
}
