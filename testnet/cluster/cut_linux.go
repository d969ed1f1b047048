package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cut cuts a node off from others: from now on the kernel drops every datagram
// between it and each of them, either way, as if a cable had been pulled. It is
// done with filters on the daemons' own sockets, so that it takes no privileges.
// Connections over TCP are not cut: see [NodeOptions].QUIC.
//
// The error wraps [os.ErrPermission] where the kernel is told not to let a process
// at its children's sockets, as it is in many containers. The caller must heal the
// cut before any of the daemons is started anew.
func Cut(n *Node, others ...*Node) (heal func() error, err error) {
	c := new(cut)
	own, err := c.open(n)
	if err != nil {
		return nil, errors.Join(err, c.heal())
	}
	var away []udpSocket
	for _, other := range others {
		sockets, err := c.open(other)
		if err != nil {
			return nil, errors.Join(err, c.heal())
		}
		away = append(away, sockets...)
	}
	for _, s := range own {
		err = errors.Join(err, s.drop(away))
	}
	for _, s := range away {
		err = errors.Join(err, s.drop(own))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cutting %s off: %w", n.name, err), c.heal())
	}
	return c.heal, nil
}

// udpSocket is a socket of a daemon, and where it sends from.
type udpSocket struct {
	fd   int
	port uint16
}

// cut is what stands between daemons.
type cut struct{ sockets []udpSocket }

// heal removes the filters. It may be called again.
func (c *cut) heal() error {
	var errs []error
	for _, s := range c.sockets {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		}
		errs = append(errs, unix.Close(s.fd))
	}
	c.sockets = nil
	return errors.Join(errs...)
}

// open opens the UDP sockets of a running daemon.
func (c *cut) open(n *Node) ([]udpSocket, error) {
	p, err := n.running()
	if err != nil {
		return nil, err
	}
	sockets, err := udpSockets(p.pid())
	c.sockets = append(c.sockets, sockets...)
	if err == nil && len(sockets) == 0 {
		err = errors.New("it has no UDP socket")
	}
	if err != nil {
		return nil, fmt.Errorf("opening the sockets of %s: %w", n.name, err)
	}
	return sockets, nil
}

// udpSockets returns a process's UDP sockets, as descriptors of this process.
func udpSockets(pid int) ([]udpSocket, error) {
	proc, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(proc) //nolint:errcheck // nothing was written
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sockets []udpSocket
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		number, bad := strconv.Atoi(e.Name())
		if err != nil || bad != nil || !strings.HasPrefix(target, "socket:") {
			continue // closed since, or something else
		}
		fd, err := unix.PidfdGetfd(proc, number, 0)
		if errors.Is(err, unix.EBADF) {
			continue
		}
		if err != nil {
			return sockets, err
		}
		if port, ok := udpPort(fd); ok {
			sockets = append(sockets, udpSocket{fd, port})
		} else if err := unix.Close(fd); err != nil {
			return sockets, err
		}
	}
	return sockets, nil
}

// udpPort returns where a UDP socket is bound to.
func udpPort(fd int) (uint16, bool) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_DGRAM {
		return 0, false
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, false
	}
	switch at := name.(type) {
	case *unix.SockaddrInet4:
		return uint16(at.Port), true
	case *unix.SockaddrInet6:
		return uint16(at.Port), true
	default:
		return 0, false
	}
}

// drop makes the kernel drop what arrives from some sockets.
func (s udpSocket) drop(from []udpSocket) error {
	const keepAll = 1<<32 - 1
	// A UDP socket's filter sees a datagram from its header on, which begins with the
	// port of the sender.
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 0}}
	for _, sender := range from {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(sender.port), Jt: 0, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: keepAll})
	return unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}
