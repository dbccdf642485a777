package replica

import "sync"

// budget bounds extra requests to a share of all requests, with a few to begin with.
type budget struct {
	share float64

	mu     sync.Mutex
	tokens float64
	begun  bool
}

// maxTokens are the most extra requests that can be saved up.
const maxTokens = 10

// earn counts a request.
func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun {
		b.begun, b.tokens = true, maxTokens
	}
	b.tokens = min(maxTokens, b.tokens+b.share)
}

// spend takes an extra request, if there is one left.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
