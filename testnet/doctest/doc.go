// Package doctest runs the examples in documents, so that they stay true.
//
// A fenced block of Markdown with the info string "console doctest" is a piece of
// a terminal session; all such blocks of a document, in order, are one session:
//
//	```console doctest
//	$ decubectl snapshot create ~/project
//	bafyreigh2akiscaildc...
//	$ decube-node daemon &
//	...
//	Daemon is ready
//	```
//
// A line that begins with "$ " is a command; a backslash at its end continues it
// on the next line. What follows, up to the next command, is what it prints, on
// standard output and standard error together. A line of "..." stands for any
// number of lines. A command ends with exit code 0, or else its output ends with
// a line "[exit code N]", which the session adds. A command that ends in "&" goes
// on in the background, and the next one waits until what is printed has been seen.
//
// Documents show a real session, of which another run gives other names and
// figures. CIDs, peer IDs, addresses, times and numbers therefore match any other
// of their kind, as does any amount of white space; and where a document's later
// commands use a name that it showed before, the session puts the name there that
// it saw instead. The home directory is called /home/alice.
package doctest
