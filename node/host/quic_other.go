//go:build !linux

package host

import "net"

// coalesce returns c: only Linux puts packets together.
func coalesce(c *net.UDPConn) net.PacketConn { return c }
