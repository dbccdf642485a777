// Package client asks servers that have the HTTP API of Prometheus.
package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Client asks one server. Its methods may be called concurrently.
type Client struct {
	base   *url.URL
	header http.Header
	http   *http.Client
}

// New makes a client of the server whose API is below base, such as http://localhost:9090; a user name and a password in it are
// sent along. The headers are added to every request.
func New(base string, header http.Header) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the address of a server: write http://host:port", base)
	}
	return &Client{u, header, &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}, nil
}

// String is the address without the password in it.
func (c *Client) String() string { return c.base.Redacted() }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Query is what to evaluate, at End alone or at the steps from Start to End.
type Query struct {
	Expr       string
	Instant    bool
	Start, End time.Time
	Step       time.Duration
	// Timeout and Lookback are left to the server if they are 0.
	Timeout, Lookback time.Duration
}

// Answer is what a query came to.
type Answer struct {
	Value           parser.Value
	Warnings, Infos []string
}

// Error is an error that the server answered with, in its words.
type Error struct {
	Status int    // of HTTP
	Type   string // what the API calls it; empty if the answer is not the API's
	Text   string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("status %d: %s", e.Status, e.Text)
	}
	return e.Text
}

// Query evaluates a query. Errors are an *Error if it is the server that says so.
func (c *Client) Query(ctx context.Context, q Query) (*Answer, error) {
	path, form := "query", url.Values{"query": {q.Expr}}
	if q.Instant {
		form.Set("time", seconds(q.End))
	} else {
		path = "query_range"
		form.Set("start", seconds(q.Start))
		form.Set("end", seconds(q.End))
		form.Set("step", formatDuration(q.Step))
	}
	if q.Timeout > 0 {
		form.Set("timeout", formatDuration(q.Timeout))
	}
	if q.Lookback > 0 {
		form.Set("lookback_delta", formatDuration(q.Lookback))
	}
	var data struct {
		ResultType parser.ValueType `json:"resultType"`
		Result     json.RawMessage  `json:"result"`
	}
	answer, err := c.post(ctx, path, form, &data)
	if err != nil {
		return nil, err
	}
	if answer.Value, err = decodeValue(data.ResultType, data.Result); err != nil {
		return nil, fmt.Errorf("%s gave an answer that is not the API's: %w", c, err)
	}
	return answer, nil
}

// envelope is what all answers of the API have around them.
type envelope struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Data      any      `json:"data"`
	Warnings  []string `json:"warnings"`
	Infos     []string `json:"infos"`
}

// post sends a form, which unlike an address may have any length, and decodes the data of the answer.
func (c *Client) post(ctx context.Context, path string, form url.Values, data any) (*Answer, error) {
	to := c.base.JoinPath("api/v1", path)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c, err)
	}
	e := envelope{Data: data}
	if err := json.Unmarshal(body, &e); err != nil || e.Status == "" {
		// A proxy's, perhaps.
		return nil, &Error{Status: res.StatusCode, Text: firstLine(body)}
	}
	if e.Status != "success" {
		return nil, &Error{Status: res.StatusCode, Type: e.ErrorType, Text: e.Error}
	}
	return &Answer{Warnings: e.Warnings, Infos: e.Infos}, nil
}

// firstLine is what fits into an error of an answer that cannot be read.
func firstLine(body []byte) string {
	const most = 200
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if len(line) > most {
		line = line[:most] + "..."
	}
	return line
}

// seconds writes a time as unix seconds, to the millisecond.
func seconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

func formatDuration(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}
