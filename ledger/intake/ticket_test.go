package intake_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

func TestTickets(t *testing.T) {
	s := intake.NewTickets()
	a, b, c := put(t, 1, 10).ID(), put(t, 2, 10).ID(), put(t, 3, 10).ID()
	for ticket, id := range []tx.ID{a, a, b, c, c} {
		wantCode(t, s.Open(intake.Ticket(ticket), intake.Clients, id), tx.CodeOK)
	}
	wantCode(t, s.Open(0, intake.Clients, b), tx.CodeQueueFull) // a ticket is used once
	s.Withdraw(1)
	s.Withdraw(1)
	s.Withdraw(77)
	want := []intake.Answer{
		{Ticket: 2, Outcome: intake.Outcome{Block: 9, Index: 1, Time: 1000}},
		{Ticket: 0, Outcome: intake.Outcome{Block: 9, Index: 2, Time: 1000}},
	}
	if got := s.Committed(9, 1000, []tx.ID{put(t, 4, 10).ID(), b, a}); !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	why := tx.Reject(tx.CodeExpired, "too old")
	if got, ok := s.Refuse(3, why); !ok || got.Ticket != 3 || !errors.Is(got.Err, why) {
		t.Errorf("refused: %v, %v", got, ok)
	}
	if _, ok := s.Refuse(3, why); ok {
		t.Error("a ticket was answered twice")
	}
	if got := s.Resolve(c, intake.Outcome{Err: why}); len(got) != 1 || got[0].Ticket != 4 || s.Len() != 0 {
		t.Errorf("answers %v, %d wait", got, s.Len())
	}
	if got := s.Committed(10, 0, []tx.ID{a, b, c}); len(got) != 0 {
		t.Errorf("answers %v to nobody", got)
	}
}

// One class's calls leave room for the other's, and nobody is served for ever by many
// calls for one transaction.
func TestTicketsAreBounded(t *testing.T) {
	s := intake.NewTickets()
	n := intake.Ticket(0)
	for s.Open(n, intake.Followers, tx.ID{byte(n), byte(n >> 8), byte(n >> 16)}) == nil {
		n++
	}
	if n != intake.MaxTickets {
		t.Errorf("%d tickets of followers wait", n)
	}
	s.Resolve(tx.ID{}, intake.Outcome{})
	s.Withdraw(1)
	for i := range intake.Ticket(2) {
		wantCode(t, s.Open(n+i, intake.Followers, tx.ID{9, 9, 9, byte(i)}), tx.CodeOK) // two have gone
	}
	wantCode(t, s.Open(n+3, intake.Followers, tx.ID{9, 9, 9, 9}), tx.CodeQueueFull)
	n += 10
	for same := range intake.Ticket(1000) {
		if s.Open(n+same, intake.Clients, tx.ID{1, 2, 3, 4}) != nil {
			if same > 100 {
				t.Errorf("%d calls wait for one transaction", same)
			}
			return
		}
	}
	t.Error("calls for one transaction have no bound")
}
