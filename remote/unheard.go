package remote

import (
	"errors"
	"fmt"
	"strings"
)

var errUnheard = errors.New("it has not said yet what it is and what data it has")

// Unheard is the error of asking an engine that nothing was heard of when the query was planned (Capabilities.Unheard), with the reason if the
// engine knows it: it has a method LastError then. That a question of before came to its end says nothing of this query, so that it is not wrapped.
func Unheard(e RemoteEngine) error {
	if s, ok := e.(interface{ LastError() error }); ok {
		if last := s.LastError(); last != nil {
			return fmt.Errorf("%w: %s", errUnheard, strings.TrimPrefix(last.Error(), prefix(e.Name())))
		}
	}
	return errUnheard
}
