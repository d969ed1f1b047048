package api

import (
	"time"

	"github.com/decube/decube/block"
)

// Identity says who a node is and where it listens.
type Identity struct {
	ID        string   `json:"id" doc:"Peer ID"`
	PublicKey string   `json:"public_key" doc:"Public key, protobuf form, base64"`
	Agent     string   `json:"agent" doc:"Name and version that peers see"`
	Network   string   `json:"network" doc:"Name of the swarm"`
	Addresses []string `json:"addresses" doc:"Multiaddrs at which the node can be dialled, each with its peer ID"`
	Protocols []string `json:"protocols" doc:"Stream protocols the node speaks"`
}

// Version says what a program was built from.
type Version struct {
	Version  string `json:"version" doc:"Release, or (devel)"`
	Commit   string `json:"commit,omitempty" doc:"Revision of the source"`
	Go       string `json:"go" doc:"Go version"`
	Platform string `json:"platform" doc:"Operating system and architecture"`
	API      string `json:"api" doc:"Version of the control API"`
}

// Status is a node's state in a few figures.
type Status struct {
	ID            string    `json:"id" doc:"Peer ID"`
	Network       string    `json:"network" doc:"Name of the swarm"`
	Version       string    `json:"version" doc:"Version of the daemon"`
	Started       time.Time `json:"started" doc:"When the daemon started"`
	UptimeSeconds float64   `json:"uptime_seconds" doc:"Seconds since then"`
	Ready         bool      `json:"ready" doc:"Whether the node serves everything it is configured to"`
	Peers         int       `json:"peers" doc:"Connected peers"`
	Reachability  string    `json:"reachability" doc:"What AutoNAT found: public, private or unknown"`
	Snapshots     int       `json:"snapshots" doc:"Snapshots that are kept"`
	Blocks        int64     `json:"blocks" doc:"Blocks stored"`
	Bytes         int64     `json:"bytes" doc:"Bytes of those blocks"`
	Sessions      int       `json:"sessions" doc:"Open block sessions"`
	Provided      int64     `json:"provided" doc:"Keys that are advertised in the DHT"`
	Warnings      []string  `json:"warnings,omitempty" doc:"What an operator should look at"`
}

// Peer is a connected peer.
type Peer struct {
	ID             string   `json:"id" doc:"Peer ID"`
	Addresses      []string `json:"addresses" doc:"Remote addresses of the open connections"`
	Direction      string   `json:"direction" doc:"Who dialled: inbound or outbound"`
	Transport      string   `json:"transport,omitempty" doc:"Transport, security and muxer of the first connection"`
	Streams        int      `json:"streams" doc:"Open streams"`
	LatencySeconds float64  `json:"latency_seconds,omitempty" doc:"Round trip, moving average"`
	Agent          string   `json:"agent,omitempty" doc:"Name and version the peer gave"`
	Limited        bool     `json:"limited,omitempty" doc:"Whether all connections go through a relay with limits"`
}

// PeerAddresses are the addresses that are known of a peer, connected or not.
type PeerAddresses struct {
	ID        string   `json:"id" doc:"Peer ID"`
	Addresses []string `json:"addresses" doc:"Known multiaddrs"`
	Connected bool     `json:"connected" doc:"Whether the peer is connected now"`
}

// AddressRequest names peers by multiaddr.
type AddressRequest struct {
	Addresses []string `json:"addresses" doc:"Multiaddrs that end in /p2p/ID" minItems:"1" maxItems:"256"`
}

// Ban is whom a node has nothing to do with.
type Ban struct {
	Target string    `json:"target" doc:"Peer ID, IP address, or network such as 192.0.2.0/24"`
	Since  time.Time `json:"since" doc:"When it was banned"`
}

// BanRequest names peers and networks.
type BanRequest struct {
	Targets []string `json:"targets" doc:"Peer IDs, IP addresses, or networks such as 192.0.2.0/24" minItems:"1" maxItems:"256"`
}

// Connected is the outcome of a dial.
type Connected struct {
	ID      string  `json:"id" doc:"Peer ID"`
	Address string  `json:"address" doc:"Address the connection uses"`
	Seconds float64 `json:"seconds" doc:"How long the dial took"`
}

// ResourceUse is what one scope of the resource manager uses and may use.
type ResourceUse struct {
	Scope        string `json:"scope" doc:"system, transient, or a service, protocol or peer by name"`
	Memory       int64  `json:"memory" doc:"Bytes reserved"`
	MemoryLimit  int64  `json:"memory_limit" doc:"Bytes that may be reserved"`
	Streams      int    `json:"streams" doc:"Open streams"`
	StreamsLimit int    `json:"streams_limit" doc:"Streams that may be open"`
	Conns        int    `json:"conns" doc:"Open connections"`
	ConnsLimit   int    `json:"conns_limit" doc:"Connections that may be open"`
	FDs          int    `json:"fds" doc:"File descriptors in use"`
	FDsLimit     int    `json:"fds_limit" doc:"File descriptors that may be in use"`
}

// Bandwidth is what passed over the swarm's connections.
type Bandwidth struct {
	InBytes  int64            `json:"in_bytes" doc:"Bytes received over streams"`
	OutBytes int64            `json:"out_bytes" doc:"Bytes sent over streams"`
	InRate   float64          `json:"in_rate" doc:"Bytes received over streams per second"`
	OutRate  float64          `json:"out_rate" doc:"Bytes sent over streams per second"`
	Bounded  bool             `json:"bounded" doc:"Whether there is any bound. Then classes are counted where connections are read and written, else over the streams of peers that are known now"`
	Classes  []ClassBandwidth `json:"classes" doc:"Bounds and traffic by direction and class"`
}

// ClassBandwidth is what passes in one direction to or from peers of a class.
type ClassBandwidth struct {
	Direction string  `json:"direction" enum:"upload,download" doc:"Seen from this node"`
	Class     string  `json:"class" enum:"all,strangers,members" doc:"Whose it is; protected peers are among the members"`
	Limit     int64   `json:"limit" doc:"Bytes a second that may pass, 0 for no bound"`
	Rate      float64 `json:"rate" doc:"Bytes a second that pass now"`
	Bytes     int64   `json:"bytes" doc:"Bytes that have passed"`
}

// Share is what a protocol may hold of a node.
type Share struct {
	Name    string `json:"name" doc:"What it is known by"`
	Memory  int64  `json:"memory" doc:"Bytes that may be reserved"`
	Streams int    `json:"streams" doc:"Streams of others that are served at a time"`
	PerPeer int    `json:"per_peer" doc:"How many of them one peer may have"`
}

// Holder is a network that peers are in, and what they hold together.
type Holder struct {
	Network string `json:"network" doc:"A /24 of IPv4 or a /48 of IPv6, or empty where it is not known"`
	Peers   int    `json:"peers" doc:"Peers that are connected"`
	Conns   int    `json:"conns" doc:"Open connections"`
	Streams int    `json:"streams" doc:"Open streams"`
}

// Records are the provider records of the DHT that a peer holds for the swarm.
type Records struct {
	Held       int    `json:"held" doc:"Records that are held"`
	Own        int    `json:"own" doc:"How many of them are this peer's own"`
	Limit      int    `json:"limit" doc:"The most that are held"`
	Bytes      int64  `json:"bytes" doc:"Bytes of the file that they are in, which is not counted as the store's"`
	BytesLimit int64  `json:"bytes_limit" doc:"The most bytes that it takes"`
	Displaced  uint64 `json:"displaced" doc:"Records that have given way to others since the start"`
}

// Resources is the state of the swarm's limits.
type Resources struct {
	Memory    int64         `json:"memory" doc:"Bytes that connections and protocols may reserve together"`
	Conns     int           `json:"conns" doc:"Connections that may be open"`
	PerAddr   int           `json:"conns_per_address" doc:"How many of them one address may have"`
	Shares    []Share       `json:"shares" doc:"What protocols may hold"`
	Records   Records       `json:"records" doc:"What is held of who provides what in the swarm"`
	Holders   []Holder      `json:"holders" doc:"Who holds most, at most ten"`
	Scopes    []ResourceUse `json:"scopes" doc:"Use and limits by scope"`
	ConnsLow  int           `json:"conns_low" doc:"Connections the connection manager trims down to"`
	ConnsHigh int           `json:"conns_high" doc:"Connections at which it begins to trim"`
	Bandwidth Bandwidth     `json:"bandwidth" doc:"Traffic"`
}

// Provider is a peer that says it holds a block.
type Provider struct {
	ID        string   `json:"id" doc:"Peer ID"`
	Addresses []string `json:"addresses" doc:"Where it can be dialled, as far as known"`
}

// ProvidersResult ends a search for providers.
type ProvidersResult struct {
	CID     block.ID `json:"cid" doc:"What was searched for"`
	Found   int      `json:"found" doc:"Providers found"`
	Seconds float64  `json:"seconds" doc:"How long the search took"`
}
