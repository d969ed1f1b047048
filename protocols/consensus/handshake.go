package consensus

import (
	"bufio"
	"encoding/binary"
	"fmt"

	"github.com/decube/decube/internal/wire"
)

// version is the version of the protocol within its name.
const version = 1

const (
	helloSize = 1 + 1 + 8 + 32
	// maxHandshake bounds the first frame of each side in bytes, with room for
	// what later versions may say.
	maxHandshake = 256
)

// greeting is the length of the frame with a hello in bytes.
const greeting = 1 + helloSize

// hello is the first frame of a stream.
type hello struct {
	class   Class
	boot    uint64
	network [32]byte
}

func appendHello(b []byte, h hello) []byte {
	b = append(b, version, byte(h.class))
	b = binary.BigEndian.AppendUint64(b, h.boot)
	return append(b, h.network[:]...)
}

// parseHello reads a hello, and returns ErrVersion for one of another version.
func parseHello(b []byte) (hello, error) {
	if len(b) > 0 && b[0] != version {
		return hello{}, fmt.Errorf("%w: %d, want %d", ErrVersion, b[0], version)
	}
	if len(b) != helloSize {
		return hello{}, fmt.Errorf("%w: a hello of %d bytes, want %d", ErrMalformed, len(b), helloSize)
	}
	h := hello{class: Class(b[1]), boot: binary.BigEndian.Uint64(b[2:]), network: [32]byte(b[10:])}
	if !h.class.known() {
		return hello{}, fmt.Errorf("%w: %v", ErrMalformed, h.class)
	}
	return h, nil
}

func readHello(r *bufio.Reader) (hello, error) {
	b, err := wire.ReadFrame(r, maxHandshake, nil)
	if err != nil {
		return hello{}, fmt.Errorf("read hello: %w", err)
	}
	return parseHello(b)
}

func reply(r refusal) []byte {
	b := []byte{byte(r.code)}
	switch r.code { //nolint:exhaustive // the others say nothing more
	case codeNetwork:
		b = append(b, r.network[:]...)
	case codeTaken:
		b = wire.AppendUvarint(b, r.taken)
	}
	return b
}

// parseReply reads a reply. It does not return a refusal as an error.
func parseReply(b []byte) (refusal, error) {
	d := wire.NewDecoder(b)
	r := refusal{code: code(d.Byte())}
	switch r.code { //nolint:exhaustive // the others say nothing more
	case codeNetwork:
		copy(r.network[:], d.Bytes(len(r.network)))
	case codeTaken:
		r.taken = d.Uvarint(wire.MaxUvarint)
	}
	if err := d.Finish(); err != nil {
		return refusal{}, fmt.Errorf("%w: a reply: %w", ErrMalformed, err)
	}
	if _, known := reasons[r.code]; !known && !r.code.refusesNothing() {
		return refusal{}, fmt.Errorf("%w: a reply of code %d", ErrMalformed, r.code)
	}
	return r, nil
}

// readReply reads the first reply, and returns nil for a welcome and a refusal
// otherwise.
func readReply(r *bufio.Reader) error {
	said, err := nextReply(r)
	switch {
	case err != nil:
		return err
	case said.code == codeWelcome:
		return nil
	case said.code.refusesNothing():
		return fmt.Errorf("%w: no welcome", ErrMalformed)
	}
	return said
}

// readLater reads a reply after the first, and returns one that refuses as an error.
func readLater(r *bufio.Reader) (refusal, error) {
	said, err := nextReply(r)
	switch {
	case err != nil:
		return refusal{}, err
	case said.code == codeWelcome:
		return refusal{}, fmt.Errorf("%w: a second welcome", ErrMalformed)
	case !said.code.refusesNothing():
		return refusal{}, said
	}
	return said, nil
}

func nextReply(r *bufio.Reader) (refusal, error) {
	b, err := wire.ReadFrame(r, maxHandshake, nil)
	if err != nil {
		return refusal{}, fmt.Errorf("read reply: %w", err)
	}
	return parseReply(b)
}
