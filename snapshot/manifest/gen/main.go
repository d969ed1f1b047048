// Command gen writes the dag-cbor encoders and decoders of package manifest.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	cbg "github.com/whyrusleeping/cbor-gen"

	"github.com/decube/decube/snapshot/manifest"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the files of package manifest into dir.
func run(dir string) error {
	g := cbg.Gen{MaxArrayLength: manifest.MaxIndexPages, MaxByteLength: manifest.MaxPath, MaxStringLength: manifest.MaxText}
	if err := g.WriteMapEncodersToFile(filepath.Join(dir, "cbor_map_gen.go"), "manifest",
		manifest.Root{}, manifest.Source{}, manifest.Chunker{}, manifest.Stats{}, manifest.Entry{},
		manifest.ExtentPage{}, manifest.Node{}, manifest.IndexPage{}); err != nil {
		return err
	}
	return g.WriteTupleEncodersToFile(filepath.Join(dir, "cbor_tuple_gen.go"), "manifest",
		manifest.Time{}, manifest.Xattr{}, manifest.Extent{}, manifest.ExtentRef{}, manifest.NodeRef{}, manifest.IndexRef{})
}
