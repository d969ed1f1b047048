package hostile

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// Order tells a process of attackers what to do. It reads it from its standard input,
// and goes on until that ends.
type Order struct {
	Attack     string
	Target     attack.Target
	Identities int
	Scale      rig.Scale
	Router     netip.Addr
	QUIC       bool // strangers speak QUIC in place of TCP
}

// News is what a process of attackers tells, a line of JSON each.
type News struct {
	Stands bool             `json:"stands,omitempty"` // all that it can get is in place
	Counts map[string]int64 `json:"counts,omitempty"` // so far
	Err    string           `json:"err,omitempty"`    // why there is no attack
}

// Obey is the process of attackers: it reads an order and carries it out.
func Obey(in io.Reader, out io.Writer) error {
	dec := json.NewDecoder(bufio.NewReader(in))
	var o Order
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	if err := o.contained(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = dec.Buffered().Read(make([]byte, 1)) // the newline
		_, _ = io.Copy(io.Discard, in)              // whoever ordered has had enough, or is gone
		cancel()
	}()
	return o.carryOut(ctx, out)
}

// errWayOut is returned where an attack could reach somebody else.
var errWayOut = errors.New("attackers are let loose only where no route leads out, or against loopback")

// contained returns an error unless no packet of the attack can leave this machine.
func (o Order) contained() error {
	if rig.Contained() {
		return nil
	}
	for _, info := range append([]peer.AddrInfo{o.Target.Victim}, o.Target.Honest...) {
		for _, a := range info.Addrs {
			if !manet.IsIPLoopback(a) {
				return fmt.Errorf("%w: %s", errWayOut, a)
			}
		}
	}
	return nil
}

// speeches are what strangers speak, in turn.
func (o Order) speeches() []stranger.Speech {
	if o.QUIC {
		return []stranger.Speech{stranger.QUIC}
	}
	return []stranger.Speech{stranger.Noise, stranger.TLS}
}

func (o Order) carryOut(ctx context.Context, out io.Writer) error {
	chosen, err := attack.Named([]string{o.Attack})
	if err != nil {
		return err
	}
	crowd, err := stranger.Crowd(o.Identities, o.Scale.Sources(o.Identities), o.speeches()...)
	if err != nil {
		return err
	}
	a := attack.NewArena(o.Target, crowd, o.Router)
	told := json.NewEncoder(out)
	ended := make(chan error, 1)
	go func() { ended <- chosen[0].Run(ctx, a) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	stands := a.Stands()
	for {
		select {
		case <-stands:
			stands = nil
			if err := told.Encode(News{Stands: true}); err != nil {
				return err
			}
		case <-tick.C:
			if err := told.Encode(News{Counts: a.Counts()}); err != nil {
				return err
			}
		case err := <-ended:
			last := News{Counts: a.Counts()}
			if err != nil && ctx.Err() == nil {
				last.Err = err.Error()
			}
			return told.Encode(last)
		case <-ctx.Done():
			err := told.Encode(News{Counts: a.Counts()})
			o.part(ended)
			return err
		}
	}
}

// parting is for how long strangers may close their connections.
const parting = 5 * time.Second

// part waits until an attack has ended, if its connections do not end with the process as
// those over TCP do: the victim would hold those over QUIC until it notices.
func (o Order) part(ended <-chan error) {
	if !o.QUIC {
		return
	}
	late := time.NewTimer(parting)
	defer late.Stop()
	select {
	case <-ended: //nolint:errcheck // an attack that was stopped has nothing more to say
	case <-late.C:
	}
}

// assault is an attack that goes on in a process of its own.
type assault struct {
	cmd    *exec.Cmd
	in     io.Closer
	stands chan struct{} // closed when it stands
	ended  chan struct{} // closed when the process has ended

	mu     sync.Mutex
	counts map[string]int64
	err    string
}

// begin starts a process of attackers.
func begin(line []string, o Order) (*assault, error) {
	cmd := exec.Command(line[0], line[1:]...) //nolint:noctx // ended by its standard input, and by stop
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errs := new(tail)
	cmd.Stderr = errs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	a := &assault{cmd: cmd, in: in, stands: make(chan struct{}), ended: make(chan struct{})}
	go a.listen(out, errs)
	if err := json.NewEncoder(in).Encode(o); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return a, nil
}

func (a *assault) listen(out io.Reader, errs *tail) {
	defer close(a.ended)
	dec := json.NewDecoder(out)
	var once sync.Once
	for {
		var n News
		if dec.Decode(&n) != nil {
			break
		}
		if n.Stands {
			once.Do(func() { close(a.stands) })
		}
		a.mu.Lock()
		if n.Counts != nil {
			a.counts = n.Counts
		}
		if n.Err != "" {
			a.err = n.Err
		}
		a.mu.Unlock()
	}
	if err := a.cmd.Wait(); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.err == "" {
			a.err = fmt.Sprintf("%v: %s", err, errs)
		}
	}
}

// stop ends the attack and waits for its process.
func (a *assault) stop() error {
	err := a.in.Close()
	if errors.Is(err, os.ErrClosed) { // the process has ended already
		err = nil
	}
	select {
	case <-a.ended:
	case <-time.After(10 * time.Second):
		err = errors.Join(err, a.cmd.Process.Kill())
		<-a.ended
	}
	return err
}

// report returns what the attackers did, and why they could not.
func (a *assault) report() (counts map[string]int64, err string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts, a.err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 2 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
