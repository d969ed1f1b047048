package catalogsync

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/digest"
	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// maxQuestion is the longest body of a question in bytes.
	maxQuestion = 32 << 10
	// maxKey and maxValue are the longest of an entry's.
	maxKey, maxValue = 80, 80
	// mostEntries is how many there are in a branch.
	mostEntries = digest.Few
)

var (
	// ErrRefused is returned for a question that is malformed or out of range.
	ErrRefused = errors.New("question refused")
	// ErrSwarm is returned for a question about another swarm.
	ErrSwarm = errors.New("another swarm")
	// ErrBusy is returned by a peer that answers as many as it may.
	ErrBusy = errors.New("peer is busy")
	// ErrMalformed is returned for an answer that breaks the protocol.
	ErrMalformed = errors.New("answer breaks the protocol")
)

// ask is the kind of a question.
type ask byte

const (
	askBranches ask = 1
	askItems    ask = 2
	askBundles  ask = 3
)

// tell is the kind of a message of an answer.
type tell byte

const (
	tellBranch tell = 0x81
	tellItem   tell = 0x82
	tellEnd    tell = 0x83
	tellError  tell = 0x84
)

// code is why there is no answer.
type code byte

const (
	codeRefused code = 1
	codeSwarm   code = 2
	codeBusy    code = 3
)

var sentinels = map[code]error{codeRefused: ErrRefused, codeSwarm: ErrSwarm, codeBusy: ErrBusy}

func codeOf(err error) code {
	for c, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			return c
		}
	}
	return codeBusy
}

// encodeQuestion returns a question about a swarm as a frame.
func encodeQuestion(swarm capability.ID, a driver.Ask) []byte {
	var body []byte
	switch {
	case a.Bundles != nil:
		body = append(append([]byte{byte(askBundles)}, swarm[:]...), a.Space[:]...)
		body = append(body, a.Bundles.Origin.Writer[:]...)
		body = binary.BigEndian.AppendUint64(body, a.Bundles.Origin.Incarnation)
		body = wire.AppendUvarint(body, uint64(a.Bundles.From))
	case a.Keys != nil:
		body = append(append([]byte{byte(askItems)}, swarm[:]...), a.Space[:]...)
		body = wire.AppendUvarint(body, uint64(len(a.Keys)))
		for _, k := range a.Keys {
			body = wire.AppendFrame(body, []byte(k))
		}
	default:
		body = append([]byte{byte(askBranches)}, swarm[:]...)
		if a.All {
			body = append(body, 0)
		} else {
			body = append(append(body, 1), a.Space[:]...)
		}
		body = wire.AppendUvarint(body, uint64(len(a.Prefixes)))
		for _, p := range a.Prefixes {
			body = wire.AppendFrame(body, []byte(p))
		}
	}
	return wire.AppendFrame(nil, body)
}

// parseQuestion reads the body of a frame, which is about a swarm. The error is ErrRefused or
// ErrSwarm.
func parseQuestion(body []byte, swarm capability.ID) (driver.Ask, error) {
	d := wire.NewDecoder(body)
	kind := ask(d.Byte())
	var about capability.ID
	copy(about[:], d.Bytes(len(about)))
	var a driver.Ask
	switch kind {
	case askBranches:
		parseBranches(&d, &a)
	case askItems:
		a.Space = readKey(&d)
		for range parseCount(&d, driver.MostKeys) {
			if d.Err() != nil {
				break
			}
			k := string(d.Bytes(int(d.Uvarint(maxKey))))
			if k == "" {
				d.Fail(wire.ErrMalformed)
			}
			a.Keys = append(a.Keys, k)
		}
	case askBundles:
		a.Space = readKey(&d)
		r := &driver.Range{Origin: bundle.Origin{Writer: readKey(&d)}}
		if b := d.Bytes(8); b != nil {
			r.Origin.Incarnation = binary.BigEndian.Uint64(b)
		}
		r.From = int64(d.Uvarint(uint64(bundle.MaxSequence)))
		a.Bundles = r
	default:
		d.Fail(fmt.Errorf("%w: kind 0x%02x", wire.ErrMalformed, byte(kind)))
	}
	if err := d.Finish(); err != nil {
		return driver.Ask{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if about != swarm {
		return driver.Ask{}, fmt.Errorf("%w: %v", ErrSwarm, about)
	}
	return a, nil
}

func parseBranches(d *wire.Decoder, a *driver.Ask) {
	switch d.Byte() {
	case 0:
		a.All = true
	case 1:
		a.Space = readKey(d)
	default:
		d.Fail(wire.ErrMalformed)
	}
	for range parseCount(d, driver.MostPrefixes) {
		if d.Err() != nil {
			break
		}
		p := digest.Prefix(d.Bytes(int(d.Uvarint(digest.MaxDepth))))
		if !p.Valid() {
			d.Fail(wire.ErrMalformed)
		}
		a.Prefixes = append(a.Prefixes, p)
	}
}

// parseCount reads how many there are, 1 to most.
func parseCount(d *wire.Decoder, most int) int {
	n := int(d.Uvarint(uint64(most)))
	if n == 0 {
		d.Fail(fmt.Errorf("%w: nothing is asked for", wire.ErrMalformed))
	}
	return n
}

func readKey(d *wire.Decoder) (k sig.PublicKey) {
	copy(k[:], d.Bytes(len(k)))
	return k
}

// encodeBranch returns the message of a branch.
func encodeBranch(of digest.Branch) []byte {
	b := []byte{byte(tellBranch)}
	if of.Hashes != nil {
		b = append(b, 1)
		for i := range of.Hashes {
			b = append(b, of.Hashes[i][:]...)
		}
		return b
	}
	b = wire.AppendUvarint(append(b, 0), uint64(len(of.Entries)))
	for _, e := range of.Entries {
		b = wire.AppendFrame(wire.AppendFrame(b, []byte(e.Key)), []byte(e.Value))
	}
	return b
}

// readBranch reads a branch, after the kind of its message.
func readBranch(r *bufio.Reader) (b digest.Branch, err error) {
	form, err := r.ReadByte()
	switch {
	case err != nil:
		return b, err
	case form > 1:
		return b, fmt.Errorf("%w: form %d of a branch", ErrMalformed, form)
	case form == 1:
		b.Hashes = make([]digest.Hash, digest.Fan)
		for i := range b.Hashes {
			hash, err := wire.ReadBytes(r, len(b.Hashes[i]), nil)
			if err != nil {
				return b, err
			}
			copy(b.Hashes[i][:], hash)
		}
		return b, nil
	}
	n, err := wire.ReadUvarint(r, mostEntries)
	if err != nil {
		return b, err
	}
	for range n {
		key, err := wire.ReadFrame(r, maxKey, nil)
		if err != nil {
			return b, err
		}
		value, err := wire.ReadFrame(r, maxValue, nil)
		if err != nil {
			return b, err
		}
		b.Entries = append(b.Entries, digest.Entry{Key: string(key), Value: string(value)})
	}
	return b, nil
}
