// Package observe looks at programs that run: what they write, and what they answer.
package observe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Tail keeps the end of what is written. It may be written to and read concurrently.
type Tail struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *Tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all.Len() > 1<<20 {
		l.all.Reset()
	}
	return l.all.Write(p)
}

// String is the end of it.
func (l *Tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.all.String()
	return strings.TrimSpace(s[max(0, len(s)-12000):])
}

// Get is what a URL answers. All but 200 are errors.
func Get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return string(b), err
}

var thanosConnections = regexp.MustCompile(`(?m)^thanos_store_nodes_grpc_connections\{.*\} (\d+)$`)

// ThanosKnows tells, by the metrics of a Thanos querier, whether it knows n endpoints. It says that it is ready before it knows any.
func ThanosKnows(n int) func(metrics string) bool {
	return func(metrics string) bool {
		sum := 0
		for _, m := range thanosConnections.FindAllStringSubmatch(metrics, -1) {
			k, err := strconv.Atoi(m[1])
			if err != nil {
				return false
			}
			sum += k
		}
		return sum == n
	}
}
