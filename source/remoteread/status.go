package remoteread

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"

	"github.com/stride-promql/stride/remote"
)

// Status is how it goes with asking a server what it has.
type Status struct {
	// LastCheck is when the server was last asked, and LastError why that failed, or nil.
	LastCheck time.Time
	LastError error
}

// Status tells how it went last.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Ready tells that the server counts even while it does not answer: queries fail then.
func (c *Client) Ready() bool { return true }

// LastError is why the server could not be asked last, or nil.
func (c *Client) LastError() error { return c.Status().LastError }

// poll asks again and again.
func (c *Client) poll(ctx context.Context) {
	defer close(c.closed)
	ticker := time.NewTicker(c.opts.Interval)
	defer ticker.Stop()
	for {
		_ = c.Refresh(ctx) // the status has the error
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Refresh asks the server now what it has. After an error, what was found out before holds.
func (c *Client) Refresh(ctx context.Context) error {
	began := time.Now()
	f, err := c.find(ctx)
	if err == nil {
		if before := c.found.Load(); before == nil || !labels.Equal(before.own, f.own) || !labels.Equal(before.external, f.external) || before.start != f.start {
			c.found.Store(f)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = Status{LastCheck: began, LastError: err}
	return err
}

func (c *Client) find(ctx context.Context) (*finding, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	own, err := c.externalLabels(ctx)
	var refused *statusError
	if errors.As(err, &refused) && !c.opts.External.IsEmpty() {
		own, err = labels.EmptyLabels(), nil // a server of another kind
	}
	if err != nil {
		return nil, err
	}
	b := labels.NewBuilder(own)
	c.opts.External.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	f := &finding{own: own, external: b.Labels()}
	if f.start, err = c.oldest(ctx); err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	f.announced = []remote.Coverage{{Labels: f.external, Intervals: remote.Intervals{{Start: f.start, End: math.MaxInt64}}}}
	return f, nil
}

// externalLabels are those of the server's configuration.
func (c *Client) externalLabels(ctx context.Context) (labels.Labels, error) {
	var data struct{ YAML string }
	if err := c.getJSON(ctx, "/api/v1/status/config", nil, &data); err != nil {
		return labels.EmptyLabels(), err
	}
	var config struct {
		Global struct {
			ExternalLabels map[string]string `yaml:"external_labels"`
		}
	}
	if err := yaml.Unmarshal([]byte(data.YAML), &config); err != nil {
		return labels.EmptyLabels(), fmt.Errorf("its configuration makes no sense: %w", err)
	}
	return labels.FromMap(config.Global.ExternalLabels), nil
}

// oldestMetric is the time of the oldest sample in s, or a time far off as long as there is none.
const oldestMetric = "prometheus_tsdb_lowest_timestamp_seconds "

// oldest is the time of the server's oldest sample; the least time if it does not tell.
func (c *Client) oldest(ctx context.Context) (int64, error) {
	res, err := c.get(ctx, "/metrics", nil)
	if err != nil {
		return math.MinInt64, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), oldestMetric); ok {
			if s, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil && math.Abs(s) < 1e15 {
				return int64(math.Floor(s)) * 1000, nil
			}
		}
	}
	return math.MinInt64, lines.Err()
}

// maxLine is the longest line of metrics that is read.
const maxLine = 1 << 20

// statusError is an answer with another status than 200.
type statusError struct {
	status int
	text   string
}

// Error has the server's words.
func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.text) }

// getJSON reads the data of an answer of the HTTP API.
func (c *Client) getJSON(ctx context.Context, path string, params map[string][]string, data any) error {
	_, err := c.getAnswer(ctx, path, params, data)
	return err
}

// getAnswer is getJSON with warnings.
func (c *Client) getAnswer(ctx context.Context, path string, params map[string][]string, data any) (warnings []string, err error) {
	res, err := c.get(ctx, path, params)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer := struct {
		Data     any
		Warnings []string
	}{Data: data}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the answer to %s makes no sense: %w", path, err)
	}
	return answer.Warnings, nil
}

// get asks the HTTP API. The body of the answer has to be closed.
func (c *Client) get(ctx context.Context, path string, params map[string][]string) (*http.Response, error) {
	u := *c.base.JoinPath(path)
	u.RawQuery = encode(params)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}
