package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/ledger/tx"
)

// contract is what callers rely on: it grows, and what it says never changes.
var contract = []struct {
	sentinel error
	code     api.Code
	status   int
}{
	{api.ErrInvalid, "invalid", 400},
	{api.ErrUnauthorised, "unauthorised", 401},
	{api.ErrForbidden, "forbidden", 403},
	{api.ErrNotFound, "not_found", 404},
	{api.ErrConflict, "conflict", 409},
	{api.ErrIncomplete, "incomplete", 409},
	{api.ErrTooLarge, "too_large", 413},
	{api.ErrCorrupt, "corrupt", 500},
	{api.ErrInternal, "internal", 500},
	{api.ErrUnavailable, "unavailable", 503},
	{api.ErrTimeout, "timeout", 504},
	{api.ErrNoSpace, "no_space", 507},
	{api.ErrRejected, "rejected", 409},
	{api.ErrNoLedger, "no_ledger", 404},
}

// A problem keeps its sentinel, code, status and words over the wire.
func TestProblemsTravel(t *testing.T) {
	for _, c := range contract {
		t.Run(string(c.code), func(t *testing.T) {
			sent := api.NewProblem(fmt.Errorf("reading chunk 7 of x: %w", c.sentinel))
			raw, err := json.Marshal(sent)
			if err != nil {
				t.Fatal(err)
			}
			got := new(api.Problem)
			if err := json.Unmarshal(raw, got); err != nil {
				t.Fatal(err)
			}
			if got.Code != c.code || got.GetStatus() != c.status || got.Title != c.sentinel.Error() {
				t.Errorf("%s, want code %s and status %d", raw, c.code, c.status)
			}
			if want := "reading chunk 7 of x: " + c.sentinel.Error(); got.Error() != want {
				t.Errorf("Error: %q, want %q", got, want)
			}
			for _, other := range contract {
				if is := errors.Is(got, other.sentinel); is != (other.code == c.code) {
					t.Errorf("errors.Is(%v) = %v", other.sentinel, is)
				}
			}
		})
	}
}

// The document that the server derives from the types names every code.
func TestEveryCodeIsDocumented(t *testing.T) {
	field, _ := reflect.TypeFor[api.Problem]().FieldByName("Code")
	documented := map[string]bool{}
	for code := range strings.SplitSeq(field.Tag.Get("enum"), ",") {
		documented[code] = true
	}
	for _, c := range contract {
		if !documented[string(c.code)] {
			t.Errorf("code %s is not in the enum", c.code)
		}
	}
	if len(documented) != len(contract) {
		t.Errorf("%d codes in the enum, %d in the contract", len(documented), len(contract))
	}
}

func TestNewProblem(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want api.Code
	}{
		"no sentinel":           {errors.New("x"), api.CodeInternal},
		"the caller's fault":    {errors.Join(api.ErrNotFound, api.ErrInvalid), api.CodeInvalid},
		"rights before all":     {errors.Join(api.ErrCorrupt, api.ErrUnauthorised), api.CodeUnauthorised},
		"a cause before effect": {fmt.Errorf("%w: %w", api.ErrUnavailable, api.ErrNoSpace), api.CodeNoSpace},
		"a problem again":       {&api.Problem{Code: api.CodeTimeout}, api.CodeTimeout},
	} {
		if got := api.NewProblem(c.err); got.Code != c.want {
			t.Errorf("%s: %s, want %s", name, got.Code, c.want)
		}
	}
}

// A rejection keeps its code over the wire, and says what to do.
func TestRejectionsTravel(t *testing.T) {
	for code, status := range map[tx.Code]int{
		tx.CodeMalformed: 422, tx.CodeBadSignature: 422, tx.CodeInvalid: 422,
		tx.CodeNonceUsed: 409, tx.CodeNameTaken: 409, tx.CodeNotFound: 409,
		tx.CodeRenewals: 409, tx.CodeQueueFull: 503, tx.CodeUnavailable: 503, tx.CodeGrowth: 503, tx.CodeExpired: 503,
	} {
		t.Run(code.String(), func(t *testing.T) {
			raw, err := json.Marshal(api.NewProblem(fmt.Errorf("submitting: %w", tx.Reject(code, "this one"))))
			if err != nil {
				t.Fatal(err)
			}
			got := new(api.Problem)
			if err := json.Unmarshal(raw, got); err != nil {
				t.Fatal(err)
			}
			if got.Status != status || got.Code != api.CodeRejected || got.Rejection.Explain != code.Explain() || got.Rejection.Detail != "this one" {
				t.Errorf("%s", raw)
			}
			if back, ok := tx.CodeOf(got); !ok || back != code || !errors.Is(got, api.ErrRejected) {
				t.Errorf("%v came back as %v, %v", code, back, ok)
			}
		})
	}
}

// A newer node may reject for a reason that this program does not know.
func TestUnknownRejection(t *testing.T) {
	p := &api.Problem{Code: api.CodeRejected, Detail: "tired", Rejection: &api.Rejection{Code: "tired"}}
	if _, ok := tx.CodeOf(p); ok || !errors.Is(p, api.ErrRejected) {
		t.Errorf("%v wraps %v", p, p.Unwrap())
	}
}

// A newer server may send a code that this program does not know.
func TestUnknownCode(t *testing.T) {
	for status, want := range map[int]error{
		http.StatusNotFound:            api.ErrNotFound,
		http.StatusInsufficientStorage: api.ErrNoSpace,
		http.StatusTeapot:              api.ErrInternal,
	} {
		p := &api.Problem{Title: "odd", Status: status, Code: "from_the_future"}
		if !errors.Is(p, want) || p.Error() != "odd" {
			t.Errorf("status %d: %v wraps %v, want %v", status, p, p.Unwrap(), want)
		}
	}
}

func TestProblemContentType(t *testing.T) {
	p := new(api.Problem)
	if got := p.ContentType("application/json"); got != "application/problem+json" {
		t.Errorf("JSON: %q", got)
	}
	if got := p.ContentType("application/cbor"); got != "application/cbor" {
		t.Errorf("CBOR: %q", got)
	}
}
