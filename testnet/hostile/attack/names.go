package attack

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/decube/decube/testnet/hostile/stranger"
)

// namesPer is how many addresses one name of the attackers' has.
const namesPer = 300

// dnsaddr gives each stranger a name, and each name hundreds of addresses in a pit.
func dnsaddr(ctx context.Context, a *Arena) error {
	pit, err := newPit(ctx, a)
	if err != nil {
		return err
	}
	if err := a.serveNames(ctx, pit); err != nil {
		return err
	}
	named := make([]ma.Multiaddr, len(a.Crowd))
	for i, s := range a.Crowd {
		if named[i], err = ma.NewMultiaddr(fmt.Sprintf("/dnsaddr/p%d.%s", i, a.Zone)); err != nil {
			return err
		}
		s.Face.Addrs = named[i : i+1]
	}
	return a.announceAndLeave(ctx, func(i int, _ *stranger.Stranger) []ma.Multiaddr { return named[i : i+1] })
}

// serveNames answers at port 53 of the router over UDP, with the wish to be asked over
// TCP, and over TCP.
func (a *Arena) serveNames(ctx context.Context, p *pit) error {
	at := netip.AddrPortFrom(a.Router, 53)
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return errors.Join(err, udp.Close())
	}
	context.AfterFunc(ctx, func() {
		_, _ = udp.Close(), tcp.Close() // it ends the loops below
	})
	go a.namesUDP(udp)
	go a.namesTCP(tcp, p)
	return nil
}

func (a *Arena) namesUDP(c *net.UDPConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if answer, err := ResolveTXT(b[:n], nil); err == nil {
			a.Count("names asked for", 1)
			_, _ = c.WriteToUDPAddrPort(answer, from) // who lost it asks again
		}
	}
}

func (a *Arena) namesTCP(l *net.TCPListener, p *pit) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			for {
				var length [2]byte
				if _, err := io.ReadFull(r, length[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(r, query); err != nil {
					return
				}
				answer, err := ResolveTXT(query, a.addressesOf(p))
				if err != nil {
					return
				}
				if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
					return
				}
				a.Count("names resolved", 1)
			}
		}()
	}
}

// addressesOf returns what gives the addresses of a name such as _dnsaddr.p7.zone.
func (a *Arena) addressesOf(p *pit) func(name string) []string {
	return func(name string) []string {
		label, _, _ := strings.Cut(strings.TrimPrefix(name, "_dnsaddr.p"), ".")
		i, err := strconv.Atoi(label)
		if err != nil || i < 0 || i >= len(a.Crowd) {
			return nil
		}
		out := make([]string, 0, namesPer)
		for j := range namesPer {
			out = append(out, fmt.Sprintf("dnsaddr=%s/p2p/%s", p.spread(j), a.Crowd[i].ID))
		}
		return out
	}
}

// ResolveTXT answers a query for text records. Without addresses it says that the answer
// was too long, so that it is asked for over TCP.
func ResolveTXT(query []byte, addresses func(name string) []string) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	head.Response, head.Authoritative, head.Truncated = true, true, addresses == nil
	b := dnsmessage.NewBuilder(nil, head)
	b.EnableCompression()
	err = errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers())
	if err == nil && addresses != nil && q.Type == dnsmessage.TypeTXT {
		for _, text := range addresses(q.Name.String()) {
			err = errors.Join(err, b.TXTResource(
				dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				dnsmessage.TXTResource{TXT: []string{text}}))
		}
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}
