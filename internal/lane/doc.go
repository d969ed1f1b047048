// Package lane carries out jobs beside the one who asks for them: writes and flushes,
// signatures, questions to peers. A program that decides by itself, in one place and
// without waiting, hands its work to lanes and learns by completions what came of it.
//
//	Submit(7, job) --> [ waiting: 7 8 9 ... ] --> batch --> Work --> deliver(7 8 9)
//	Cancel(8)                                     one at a time, or
//	                                              one for each worker
//
// # Contract
//
// It holds for [Lane], which has goroutines, and for the lane of testnet/sim/kernel,
// which has virtual time; package lanetest is the suite that both pass.
//
//   - The submitter numbers the jobs; no two that are in a lane at a time have the same
//     number. Submit never waits: it returns ErrFull where the bytes of all jobs that are
//     in the lane, waiting or running, would exceed Options.Backlog. A lane without jobs
//     accepts any.
//   - A lane that is idle starts at once, with what there is; no timer makes it wait for
//     more. A lane that is busy collects: what waits goes into the next batch as one, in
//     order, up to the bounds of Options.Batch. So batches are large under load and of one
//     job when idle. Where several workers are free, they share what waits.
//   - With one worker, batches run one after the other, and completions come in the order
//     of Submit. With more, batches start in that order and end as they do.
//   - Every job that Submit accepted has exactly one completion, unless Cancel took it
//     while it waited, or Close or the end of the program did. The completions of a batch
//     come in one call, in the order of its jobs.
//   - A batch that fails is a failure of each of its jobs. If Options.Halts is set, it is
//     the last one of the lane to start: the jobs that wait complete in the same call,
//     behind it, with ErrHalted and the cause, and so does every later Submit. Otherwise
//     the lane carries on. A failure of one job alone is for its result to say.
//   - Cancel takes a job that waits, and returns true; it will have no completion. A job
//     that runs has one in any case: if all the jobs of its batch are canceled, the
//     batch's context is.
//   - Close refuses further jobs, drops those that wait, cancels the contexts of those
//     that run, and returns when their completions have been delivered. Nothing is
//     delivered after it.
//
// deliver may submit and cancel, but must neither wait nor close the lane. With several
// workers it is called from several goroutines at once.
package lane
