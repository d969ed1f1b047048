package api

import "github.com/decube/decube/block"

// RepoStat is the state of a repo's block store.
type RepoStat struct {
	Path        string `json:"path" doc:"Directory of the repo"`
	Version     int    `json:"version" doc:"Version of the repo's layout"`
	Blocks      int64  `json:"blocks" doc:"Blocks stored"`
	Bytes       int64  `json:"bytes" doc:"Bytes of those blocks"`
	DiskBytes   int64  `json:"disk_bytes" doc:"Bytes that the store takes on disk"`
	IndexBytes  int64  `json:"index_bytes" doc:"Of these, the index"`
	Packs       int64  `json:"packs" doc:"Pack files"`
	Quota       int64  `json:"quota" doc:"Most bytes the store may take; 0 is no quota"`
	FreeBytes   int64  `json:"free_bytes" doc:"Bytes free on the file system"`
	MinFree     int64  `json:"min_free" doc:"Bytes that are left free"`
	Pins        int64  `json:"pins" doc:"Pinned roots"`
	Quarantined int64  `json:"quarantined" doc:"Damaged blocks set aside"`
	Problem     string `json:"problem,omitempty" doc:"What is wrong with the store as a whole, and what to do about it"`
}

// Progress of work that is measured in pieces and bytes. A total of 0 is not
// known (yet).
type Progress struct {
	Phase      string `json:"phase" doc:"What is being done"`
	Items      int64  `json:"items" doc:"Pieces done"`
	TotalItems int64  `json:"total_items,omitempty" doc:"Pieces in all"`
	Bytes      int64  `json:"bytes,omitempty" doc:"Bytes done"`
	TotalBytes int64  `json:"total_bytes,omitempty" doc:"Bytes in all"`
}

// FsckRequest says how thoroughly to check.
type FsckRequest struct {
	ReadData bool `json:"read_data,omitempty" doc:"Read and hash every block"`
	Repair   bool `json:"repair,omitempty" doc:"Rebuild and quarantine what is broken"`
}

// FsckReport is what a check found.
type FsckReport struct {
	OK          bool       `json:"ok" doc:"Whether nothing is left to repair"`
	Blocks      int64      `json:"blocks" doc:"Blocks checked"`
	Bytes       int64      `json:"bytes" doc:"Bytes of those blocks"`
	Damaged     []block.ID `json:"damaged" doc:"Blocks whose bytes are gone or wrong"`
	Repaired    int64      `json:"repaired" doc:"Entries rebuilt or removed"`
	Findings    []string   `json:"findings" doc:"What is wrong, in words"`
	Snapshots   []Affected `json:"snapshots" doc:"Snapshots that lack blocks"`
	Interrupted []Affected `json:"interrupted" doc:"Snapshots whose fetch was interrupted, which is no damage; blocks that are not known yet are not counted"`
	Seconds     float64    `json:"seconds" doc:"How long the check took"`
}

// Affected is a kept snapshot that is not whole.
type Affected struct {
	CID     block.ID `json:"cid" doc:"Root of the snapshot"`
	Missing int64    `json:"missing" doc:"Blocks it lacks"`
	Detail  string   `json:"detail,omitempty" doc:"Why it could not be read further"`
}

// GCRequest says how to collect garbage.
type GCRequest struct {
	DryRun bool `json:"dry_run,omitempty" doc:"Only say what would be removed"`
}

// GCResult is what a collection did, or would do.
type GCResult struct {
	DryRun       bool    `json:"dry_run" doc:"Whether nothing was removed"`
	Kept         int64   `json:"kept" doc:"Blocks kept"`
	KeptBytes    int64   `json:"kept_bytes" doc:"Bytes of those blocks"`
	Removed      int64   `json:"removed" doc:"Blocks removed"`
	RemovedBytes int64   `json:"removed_bytes" doc:"Bytes of those blocks"`
	FreedBytes   int64   `json:"freed_bytes" doc:"Bytes given back to the file system"`
	Seconds      float64 `json:"seconds" doc:"How long the collection took"`
}
