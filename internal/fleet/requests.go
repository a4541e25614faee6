package fleet

import (
	"context"
	"errors"
	"sync"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// one reads a single stream.
func (r *Reader) one(ctx context.Context, api *jsapi.API, name string) (*stream.Info, error) {
	defer r.request()()
	s, err := api.Stream(ctx, name)
	return s, r.failed(err)
}

// failed is the failure of a request; a lost connection is remembered.
func (r *Reader) failed(err error) error {
	if errors.Is(err, jsapi.ErrDisconnected) {
		r.lost.Store(true)
	}
	return err
}

// each calls f for 0 to n-1, so many at a time, and waits.
func (r *Reader) each(n, atOnce int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

// request waits until a request may be made; the function that it returns says
// that it is done.
func (r *Reader) request() (done func()) {
	r.begin.Do(func() { r.slots = make(chan struct{}, allUnderWay*len(r.Own)) })
	r.slots <- struct{}{}
	counted := r.count.begin(r.Progress)
	return func() {
		counted()
		<-r.slots
	}
}

// counter counts requests for the progress.
type counter struct {
	mu          sync.Mutex
	done, known int
}

// begin counts a request; the function that it returns counts it as done.
func (c *counter) begin(tell func(done, known int)) func() {
	c.mu.Lock()
	c.known++
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.done++
		done, known := c.done, c.known
		c.mu.Unlock()
		if tell != nil {
			tell(done, known)
		}
	}
}
