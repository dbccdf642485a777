package remote

import "context"

// Memory is what a query may hold. Whoever reads samples for one that come over a network, and are there until the querier is closed,
// accounts for them with Grow; those of a TSDB lie in its files.
type Memory interface {
	// Grow takes n bytes. With an error, which is to end the selection as a *LimitError, they are taken all the same. It may be called concurrently.
	Grow(n int64) error
}

type memoryKey struct{}

// WithMemory is a context for selections on the account of m, who gives everything back when the querier is closed.
func WithMemory(ctx context.Context, m Memory) context.Context {
	return context.WithValue(ctx, memoryKey{}, m)
}

// Hold accounts for n bytes with the Memory of ctx, if it has one.
func Hold(ctx context.Context, n int64) error {
	m, ok := ctx.Value(memoryKey{}).(Memory)
	if !ok {
		return nil
	}
	if err := m.Grow(n); err != nil {
		return &LimitError{Err: err}
	}
	return nil
}
