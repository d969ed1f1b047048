// Package follow decides how a peer that is behind gets what others have: blocks, heads
// and states, for a follower and for a validator that lags; and how a follower hands
// transactions over. It is pure: events and instants go in, actions come out, and
// whoever drives it asks, verifies and stores.
//
//	Sources, Item, Ended ---------> +----------+ ---> Ask, Stop, Credit
//	HeadChecked, BlocksChecked ---> | Follower | ---> CheckHead, CheckBlocks
//	Applied, Advanced, Role ------> |          | ---> Apply
//	Building, Installed ----------> +----------+ ---> Build, AddChunk, Install, Alarm
//
// # What counts
//
// A source counts for what it has proved. Its head is a header with a certificate; what
// it says beside that moves nothing. Blocks count once they are verified one after
// another from the last one that is, chunks once they are in the state whose root is
// certified. Two certified blocks that exclude each other are an Alarm, and what is
// stored stays.
//
// # Whom to ask
//
// Sources that have proved to be ahead are asked for stripes of StripeBlocks, two of
// them at a time: the one with the most verified bytes a second, and one that has not
// been measured, while there is any. All waits for the first stripe. So another source
// is asked for it too when those that are asked
//
//   - bring less than SlowRate, or a quarter of what the other brought, for SlowAfter,
//   - need LateFactor times as long as the other's last stripe took,
//   - or have not brought it after Patience, however fast bytes come.
//
// Whose answer is complete and verified first has won; the others that were slow or
// late rest for MinBackoff, doubling to MaxBackoff, and one that lied for LieBackoff at
// least. All these times double each time that all sources have been tried for a
// stripe, so that a slow line is not given up for ever.
//
// One hostile source therefore delays the first stripe by Patience at most before
// another is asked, and by SlowAfter when it drips or is silent; and it can do so once
// between two of its backoffs. The tests hold any mixture of hostile sources to
// 2 x Patience for each of them on top of what the slowest honest line needs.
//
// Where the next block is with those alone who drip, since all others have dropped it, a
// state is fetched instead once they were slow for SlowAfter: else they would say when
// this peer has it. A source that has dropped blocks since its last head is asked for the
// next one at once, and left alone only if that is as wrong.
//
// # States
//
// Where the blocks would take too long, or are gone, the state at a certified checkpoint
// is fetched, chunk by chunk, and blocks from there. A source shows its latest state only,
// and serves those before for a while. So one that shows a later state is asked for the one
// that is being fetched until it says that it is Absent there: a state that takes longer
// than the ledger needs for the next one is not begun anew.
//
// # At the tip
//
// A follower has one source stream blocks and asks the others for their heads, one each
// Poll. A head whose block the stream has not brought after TipAfter is fetched from
// another source; when that one is first, they change places. A replica that votes has
// no stream. It asks for blocks when its head stands still for StalledAfter, or
// somebody shows it a certificate (Behind), and a certified tip shows that there are
// blocks to be had. Where there are none the same tip shows that it is at the head: see
// AtHead.
//
// # Memory
//
// Blocks on their way, not verified or not applied are at most Fetched bytes. Each
// question reserves its share before it is asked, and ends (Full) or pauses (until a
// Credit) at it. Chunks are at most three times MaxChunk and the one that is added,
// which is below StateInFlight; heads MaxSources times MaxHead.
package follow
