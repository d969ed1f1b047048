package api

import (
	"errors"
	"net/http"

	"github.com/decube/decube/ledger/tx"
)

// Sentinel errors that callers branch on. The server turns an error that wraps
// one of them into the [Problem] of that code, the client turns the problem back
// into an error that wraps the same sentinel.
var (
	ErrInvalid      = errors.New("invalid request")
	ErrUnauthorised = errors.New("not authorised")
	ErrForbidden    = errors.New("refused")
	ErrNotFound     = errors.New("not found")
	ErrConflict     = errors.New("conflict")
	ErrIncomplete   = errors.New("incomplete")
	ErrTooLarge     = errors.New("too large")
	ErrCorrupt      = errors.New("damaged data")
	ErrNoSpace      = errors.New("no space left")
	ErrTimeout      = errors.New("timed out")
	ErrUnavailable  = errors.New("unavailable")
	ErrInternal     = errors.New("internal error")
	// ErrRejected is wrapped by what is said of a transaction that the ledger did
	// not take, beside the *tx.Rejection with the reason.
	ErrRejected = errors.New("transaction rejected")
	// ErrNoLedger is returned by operations on the ledger of a swarm without one.
	ErrNoLedger = errors.New("this swarm has no ledger")
	// ErrUnreachable is the client's own: nothing answers at the address.
	ErrUnreachable = errors.New("daemon unreachable")
)

// Code names a kind of problem. Codes are stable: they are never renamed, and
// what one means never changes.
type Code string

// The codes of the API.
const (
	CodeInvalid      Code = "invalid"
	CodeUnauthorised Code = "unauthorised"
	CodeForbidden    Code = "forbidden"
	CodeNotFound     Code = "not_found"
	CodeConflict     Code = "conflict"
	CodeIncomplete   Code = "incomplete"
	CodeTooLarge     Code = "too_large"
	CodeCorrupt      Code = "corrupt"
	CodeNoSpace      Code = "no_space"
	CodeTimeout      Code = "timeout"
	CodeUnavailable  Code = "unavailable"
	CodeInternal     Code = "internal"
	CodeRejected     Code = "rejected"
	CodeNoLedger     Code = "no_ledger"
)

type kind struct {
	code   Code
	status int
	err    error
}

// kinds joins codes, HTTP statuses and sentinels. An error that wraps several
// sentinels gets the first code of this list.
var kinds = [...]kind{
	{CodeUnauthorised, http.StatusUnauthorized, ErrUnauthorised},
	{CodeForbidden, http.StatusForbidden, ErrForbidden},
	{CodeRejected, http.StatusConflict, ErrRejected},
	{CodeInvalid, http.StatusBadRequest, ErrInvalid},
	{CodeTooLarge, http.StatusRequestEntityTooLarge, ErrTooLarge},
	{CodeNoSpace, http.StatusInsufficientStorage, ErrNoSpace},
	{CodeCorrupt, http.StatusInternalServerError, ErrCorrupt},
	{CodeTimeout, http.StatusGatewayTimeout, ErrTimeout},
	{CodeIncomplete, http.StatusConflict, ErrIncomplete},
	{CodeConflict, http.StatusConflict, ErrConflict},
	{CodeNotFound, http.StatusNotFound, ErrNotFound},
	{CodeNoLedger, http.StatusNotFound, ErrNoLedger},
	{CodeUnavailable, http.StatusServiceUnavailable, ErrUnavailable},
	{CodeInternal, http.StatusInternalServerError, ErrInternal},
}

// Problem is an error of the API as it travels (RFC 9457).
type Problem struct {
	Title  string `json:"title" doc:"The kind of problem in words"`
	Status int    `json:"status" doc:"HTTP status"`
	Detail string `json:"detail,omitempty" doc:"What was tried, on what, and why it failed"`
	Code   Code   `json:"code" doc:"Stable name of the kind of problem" enum:"invalid,unauthorised,forbidden,not_found,conflict,incomplete,too_large,corrupt,no_space,timeout,unavailable,internal,rejected,no_ledger"`

	Rejection *Rejection `json:"rejection,omitempty" doc:"Why the ledger rejected a transaction, with the code rejected"`
}

// Rejection is why the ledger did not take a transaction.
type Rejection struct {
	Code    string `json:"code" doc:"Stable name of the reason, such as nonce_used"`
	Detail  string `json:"detail" doc:"What exactly, of this transaction"`
	Explain string `json:"explain" doc:"What the code means and what to do about it"`
}

// NewProblem returns the problem that tells err. An error without a sentinel of
// this package is an internal one, unless it is or wraps a *tx.Rejection.
func NewProblem(err error) *Problem {
	if r, ok := errors.AsType[*tx.Rejection](err); ok {
		return &Problem{
			Title: ErrRejected.Error(), Status: statusOf(r.Code), Detail: err.Error(), Code: CodeRejected,
			Rejection: &Rejection{Code: r.Code.String(), Detail: r.Detail, Explain: r.Code.Explain()},
		}
	}
	k := kinds[len(kinds)-1]
	for _, c := range kinds {
		if errors.Is(err, c.err) {
			k = c
			break
		}
	}
	return &Problem{Title: k.err.Error(), Status: k.status, Detail: err.Error(), Code: k.code}
}

// statusOf returns the HTTP status for a rejection: what can only be mended by
// signing another transaction is the client's fault, what depends on the ledger's
// state is a conflict, and what may go away by itself asks to come back.
func statusOf(code tx.Code) int {
	switch code {
	case tx.CodeMalformed, tx.CodeTooLarge, tx.CodeWrongNetwork, tx.CodeBadSignature, tx.CodeInvalid:
		return http.StatusUnprocessableEntity
	case tx.CodeQueueFull, tx.CodeUnavailable, tx.CodeGrowth, tx.CodeExpired:
		return http.StatusServiceUnavailable
	default:
		return http.StatusConflict
	}
}

// Error returns the detail, or the title where there is none.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// Unwrap returns the sentinel of the problem's code; an unknown code, which a
// newer server may send, is judged by its status. With a rejection that this
// program knows the code of, it wraps a *tx.Rejection too.
func (p *Problem) Unwrap() error {
	if p.Code == CodeRejected && p.Rejection != nil {
		if code, err := tx.ParseCode(p.Rejection.Code); err == nil {
			return errors.Join(ErrRejected, &tx.Rejection{Code: code, Detail: p.Rejection.Detail})
		}
	}
	for _, k := range kinds {
		if k.code == p.Code {
			return k.err
		}
	}
	for _, k := range kinds {
		if k.status == p.Status {
			return k.err
		}
	}
	return ErrInternal
}

// GetStatus returns the HTTP status the problem is sent with.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of a problem in place of that of the
// encoding it is written in.
func (p *Problem) ContentType(encoding string) string {
	if encoding == "application/json" {
		return "application/problem+json"
	}
	return encoding
}
