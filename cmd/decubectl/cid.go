package main

import (
	"errors"
	"strings"

	"github.com/decube/decube/block"
)

const cidLooks = `a CID looks like bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy; "decubectl snapshot list" shows those of kept snapshots`

// parseCID reads an argument that names a block.
func parseCID(arg string) (block.ID, error) {
	id, err := block.Parse(arg)
	switch {
	case errors.Is(err, block.ErrUnsupported):
		return block.ID{}, usageError("%w", err)
	case err != nil:
		return block.ID{}, usageError("%w; %s", err, cidLooks)
	}
	return id, nil
}

// parseRoot reads an argument that names a snapshot.
func parseRoot(arg string) (block.ID, error) {
	id, err := parseCID(arg)
	if err == nil && id.Codec() != block.DagCBOR {
		err = usageError("%s is the CID of a %s block, a snapshot's CID is dag-cbor (it begins with bafyrei)", id, id.Codec())
	}
	return id, err
}

// parsePath reads an argument that names a snapshot or something in one: CID or
// CID/path. The path comes back without slashes at its ends.
func parsePath(arg string) (block.ID, string, error) {
	cid, path, _ := strings.Cut(arg, "/")
	id, err := parseRoot(cid)
	return id, strings.Trim(path, "/"), err
}
