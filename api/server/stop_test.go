package server_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/servertest"
)

// What requests use is closed after Run: it waits for those that it cuts off, sessions or not.
func TestStopWaitsForWhatItCutsOff(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	slow := server.Group{Name: "slow", Register: func(r *server.Router) {
		server.Handle(r, server.Get("slow", "/slow", "", ""), func(ctx context.Context, _ *server.Nothing) (api.Version, error) {
			close(entered)
			<-ctx.Done()
			<-release
			return api.Version{}, ctx.Err()
		})
	}}
	s := servertest.New(t, new(servertest.Node), servertest.Config(), slow)
	_, url, stop := servertest.Run(t, s)
	var asking sync.WaitGroup
	asking.Go(func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+api.Prefix+"/slow", nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+servertest.Token)
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			t.Error("a request that was cut off was answered")
		}
	})
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Errorf("it has stopped with a request inside: %v", err)
		stopped <- err
	case <-time.After(5 * servertest.Config().DrainTimeout):
	}
	close(release)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	asking.Wait()
	w := servertest.Request(t, s.Handler(), http.MethodGet, "/version", "", nil)
	servertest.WantProblem(t, w, http.StatusServiceUnavailable, api.CodeUnavailable)
}
