package blockstore

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/decube/decube/block"
)

// The file of pins of stores of version 1, which is read and never written: 8
// bytes "DCPINS" 0 1, SHA-256 of the rest, CBOR array of pins. It was replaced as
// a whole at each change, and did not exist before the first.
const oldPinsMagic = "DCPINS\x00\x01"

// oldPinRecord is a pin in that file.
type oldPinRecord struct {
	Root    []byte `cbor:"1,keyasint"`
	Name    []byte `cbor:"2,keyasint"`
	Created int64  `cbor:"3,keyasint"` // nanoseconds since 1970
	Partial bool   `cbor:"4,keyasint"`
	Meta    []byte `cbor:"5,keyasint"`
}

// isOldPins reports whether data is such a file. The new file of a store that was
// being converted when a crash came is not.
func isOldPins(data []byte) bool { return strings.HasPrefix(string(data), oldPinsMagic) }

// readOldPins returns the pins in such a file.
func readOldPins(data []byte) (map[block.ID]Pin, error) {
	all := map[block.ID]Pin{}
	head := len(oldPinsMagic) + sha256.Size
	if len(data) < head {
		return all, fmt.Errorf("%d bytes are no file of pins", len(data))
	}
	if sum := sha256.Sum256(data[head:]); !bytes.Equal(sum[:], data[len(oldPinsMagic):head]) {
		return all, block.ErrMismatch
	}
	var records []oldPinRecord
	if err := oldPinDecoding.Unmarshal(data[head:], &records); err != nil {
		return all, err
	}
	for _, r := range records {
		root, err := block.FromBytes(r.Root)
		if err != nil {
			return all, err
		}
		all[root] = Pin{Root: root, Name: string(r.Name), Created: time.Unix(0, r.Created).UTC(), Partial: r.Partial, Meta: r.Meta}
	}
	return all, nil
}

// oldPinDecoding allows as many pins as CBOR can count.
var oldPinDecoding = func() cbor.DecMode {
	mode, err := cbor.DecOptions{MaxArrayElements: 1<<31 - 1}.DecMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return mode
}()
