// Package hostile finds out whether strangers can stop a peer. It runs real daemons in
// a small internet of its own (package rig), has strangers attack one of them in one
// way at a time (package attack), and measures from outside what others notice:
//
//	giver ──── victim ──── taker          a fetch on each side of the victim
//	member ───────┤                       the same of a peer with a role
//	newcomer ─────┴──── attackers         a new peer that connects and fetches
//
// An attack is measured three times: before it, while it goes on, and half a minute
// after it. What may become of the figures is written down as data, in [Bars]. Each
// attack meets daemons and repositories of its own.
package hostile
