package exchange

import "github.com/decube/decube/block"

// servedBlock is what a block of the largest size reserves while it is served: its
// buffer has room for a header, and the pool rounds up to a power of two.
const servedBlock = 2 * block.MaxSize

// StreamMemory is how many bytes a stream that is served at full speed reserves, with the
// read-ahead of DefaultLimits.
const StreamMemory = MaxRequest + 2*servedBlock
