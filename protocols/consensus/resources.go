package consensus

// Memory returns how many bytes the streams between one validator and the others of a
// committee reserve, where no frame has more than maxFrame bytes: what every stream takes
// from the beginning, and the largest frames of two validators at a time. What their muxers
// take is not in it: libp2p counts that with the peers.
func Memory(validators, maxFrame int) int64 {
	var each, large int64
	for _, class := range classes {
		each += 2 * (reserved + writeBuffer) // one stream in each direction
		if class.maxFrame() > MaxVoteSize {
			large += int64(maxFrame)
		}
	}
	return int64(validators-1)*each + 2*large
}

// Streams returns how many streams of other peers a validator of a committee may have at a
// time, with DefaultLimits.
func Streams(validators int) int {
	return (validators-1)*(len(classes)+handshakes) + strangers
}
