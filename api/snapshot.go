package api

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/decube/decube/block"
)

// Snapshot is the summary of a snapshot: what its root says and what this node
// holds of it.
type Snapshot struct {
	CID     block.ID  `json:"cid" doc:"Root of the snapshot"`
	Created time.Time `json:"created" doc:"When the snapshot was taken"`
	Host    string    `json:"host,omitempty" doc:"Host it was taken on"`
	Source  string    `json:"source,omitempty" doc:"Path it was taken of"`
	Label   string    `json:"label,omitempty" doc:"Name given by the user"`
	Tags    []string  `json:"tags,omitempty" doc:"Tags given by the user"`
	Parent  *block.ID `json:"parent,omitempty" doc:"Root of the snapshot before it"`
	Files   int64     `json:"files" doc:"Regular files"`
	Dirs    int64     `json:"dirs" doc:"Directories"`
	Bytes   int64     `json:"bytes" doc:"Bytes of the files"`
	Chunks  int64     `json:"chunks" doc:"Distinct chunks of the files' bytes"`
	Partial bool      `json:"partial,omitempty" doc:"Whether something could not be read when it was taken"`

	Pinned   bool       `json:"pinned" doc:"Whether this node keeps it"`
	PinnedAt *time.Time `json:"pinned_at,omitempty" doc:"Since when"`
	Complete *bool      `json:"complete,omitempty" doc:"Whether this node holds every block; absent where that was not checked"`
}

// What a request to keep a snapshot may say: characters of a label, and tags.
const (
	MaxLabel = 256
	MaxTags  = 64
)

// Check reports what a node would not accept in a request.
func (r *KeepRequest) Check() error {
	switch {
	case utf8.RuneCountInString(r.Label) > MaxLabel:
		return fmt.Errorf("a label of %d characters, at most %d", utf8.RuneCountInString(r.Label), MaxLabel)
	case len(r.Tags) > MaxTags:
		return fmt.Errorf("%d tags, at most %d", len(r.Tags), MaxTags)
	}
	return nil
}

// KeepRequest asks a node to keep a snapshot whose blocks it holds.
type KeepRequest struct {
	Label   string   `json:"label,omitempty" doc:"Name to keep it under" maxLength:"256"`
	Tags    []string `json:"tags,omitempty" doc:"Tags to keep with it" maxItems:"64"`
	Partial bool     `json:"partial,omitempty" doc:"Something could not be read when it was taken"`
}

// FetchRequest asks a node to make its copy of a snapshot complete.
type FetchRequest struct {
	Pin          bool     `json:"pin,omitempty" doc:"Keep the snapshot afterwards"`
	Label        string   `json:"label,omitempty" doc:"Name to keep it under" maxLength:"256"`
	StallSeconds float64  `json:"stall_seconds,omitempty" doc:"Give up when nothing comes for this long; 0 is exchange.patience of the node" minimum:"0" maximum:"86400"`
	Providers    []string `json:"providers,omitempty" doc:"Multiaddrs of peers to ask beside those the DHT knows" maxItems:"64"`
}

// Phases of a fetch.
const (
	PhaseFinding  = "finding providers"
	PhaseManifest = "fetching manifest"
	PhaseFetching = "fetching"
	PhaseFlushing = "making durable"
)

// FetchProgress is the state of a fetch that runs.
type FetchProgress struct {
	Phase       string             `json:"phase" doc:"What is being done"`
	Blocks      int64              `json:"blocks" doc:"Blocks of the snapshot that are held, those held before included"`
	TotalBlocks int64              `json:"total_blocks,omitempty" doc:"Blocks of the snapshot; 0 while unknown"`
	Bytes       int64              `json:"bytes" doc:"Bytes of those blocks"`
	TotalBytes  int64              `json:"total_bytes,omitempty" doc:"Bytes of the snapshot's blocks"`
	Providers   []ProviderProgress `json:"providers,omitempty" doc:"What each provider gave so far"`
}

// ProviderProgress is one provider's part in a fetch.
type ProviderProgress struct {
	ID     string  `json:"id" doc:"Peer ID"`
	Blocks int64   `json:"blocks" doc:"Blocks it gave"`
	Bytes  int64   `json:"bytes" doc:"Bytes of those blocks"`
	Rate   float64 `json:"rate" doc:"Bytes per second now"`
	State  string  `json:"state,omitempty" doc:"What it is doing, or why it was dropped"`
}

// FetchResult ends a fetch that succeeded.
type FetchResult struct {
	CID           block.ID           `json:"cid" doc:"Root of the snapshot"`
	Blocks        int64              `json:"blocks" doc:"Blocks of the snapshot"`
	Bytes         int64              `json:"bytes" doc:"Bytes of those blocks"`
	FetchedBlocks int64              `json:"fetched_blocks" doc:"Blocks that came from peers"`
	FetchedBytes  int64              `json:"fetched_bytes" doc:"Bytes of those blocks"`
	Pinned        bool               `json:"pinned" doc:"Whether the snapshot is kept"`
	Providers     []ProviderProgress `json:"providers" doc:"What each provider gave"`
	Seconds       float64            `json:"seconds" doc:"How long the fetch took"`
}

// VerifyRequest says how thoroughly to verify a snapshot.
type VerifyRequest struct {
	ReadData bool `json:"read_data,omitempty" doc:"Read and hash every block, not only the manifest"`
}

// VerifyReport is what a verification found.
type VerifyReport struct {
	CID      block.ID   `json:"cid" doc:"Root of the snapshot"`
	OK       bool       `json:"ok" doc:"Whether everything is there and right"`
	Blocks   int64      `json:"blocks" doc:"Blocks checked"`
	Bytes    int64      `json:"bytes" doc:"Bytes of those blocks"`
	Files    int64      `json:"files" doc:"Files whose entries were checked"`
	Missing  []block.ID `json:"missing" doc:"Blocks that are not there, the first thousand"`
	Damaged  []block.ID `json:"damaged" doc:"Blocks whose bytes are wrong, the first thousand"`
	Problems []string   `json:"problems" doc:"What is wrong, in words"`
	Seconds  float64    `json:"seconds" doc:"How long the verification took"`
}
