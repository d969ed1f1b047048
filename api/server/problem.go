package server

import (
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/internal/classify"
)

// Problem returns what a client is told of err.
func Problem(err error) *api.Problem { return api.NewProblem(classify.Error(err)) }

// useProblems makes huma report its own errors as our problems. It is a setting
// of the whole program, because huma keeps it in a variable.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		details := []string{msg}
		for _, err := range errs {
			if err != nil {
				details = append(details, err.Error())
			}
		}
		return &api.Problem{
			Title:  http.StatusText(status),
			Status: status,
			Detail: strings.Join(details, ": "),
			Code:   codeOf(status),
		}
	}
})

// codeOf returns the code for a status that huma chose.
func codeOf(status int) api.Code {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return api.CodeTooLarge
	case http.StatusRequestTimeout:
		return api.CodeTimeout
	case http.StatusNotFound:
		return api.CodeNotFound
	}
	if status >= 400 && status < 500 {
		return api.CodeInvalid
	}
	return api.CodeInternal
}
