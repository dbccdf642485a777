package remoteread

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// labelQuerier asks the HTTP API for names and values of labels.
type labelQuerier struct{ *requests }

// LabelNames implements storage.LabelQuerier.
func (q labelQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.list(ctx, "/api/v1/labels", hints, matchers, func(l labels.Labels, found map[string]struct{}) {
		l.Range(func(l labels.Label) { found[l.Name] = struct{}{} })
	})
}

// LabelValues implements storage.LabelQuerier.
func (q labelQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	escaped := name
	if !model.LegacyValidation.IsValidLabelName(name) {
		escaped = model.EscapeName(name, model.ValueEncodingEscaping)
	}
	return q.list(ctx, "/api/v1/label/"+url.PathEscape(escaped)+"/values", hints, matchers, func(l labels.Labels, found map[string]struct{}) {
		if v := l.Get(name); v != "" {
			found[v] = struct{}{}
		}
	})
}

// list asks for names or values. The API takes no selectors that pass series without labels: then they are collected from all series.
func (q labelQuerier) list(ctx context.Context, path string, hints *storage.LabelHints, matchers []*labels.Matcher, collect func(labels.Labels, map[string]struct{})) ([]string, annotations.Annotations, error) {
	c := q.storage.client
	if len(matchers) > 0 && !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches("") }) {
		return q.collected(ctx, hints, matchers, collect)
	}
	params := url.Values{}
	if len(matchers) > 0 {
		params.Set("match[]", selector(matchers))
	}
	if hints != nil && hints.Limit > 0 {
		params.Set("limit", strconv.Itoa(hints.Limit))
	}
	if q.mint > minTime {
		params.Set("start", seconds(q.mint))
	}
	if q.maxt < maxTime {
		params.Set("end", seconds(q.maxt))
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.opts.Patience, time.Minute))
	defer cancel()
	var found []string
	said, err := c.getAnswer(ctx, path, params, &found)
	if err != nil {
		return nil, nil, c.error(err)
	}
	warnings := annotations.New()
	for _, w := range said {
		if w != truncated { // as was asked for
			warnings.Add(c.error(errors.New(w)))
		}
	}
	return found, *warnings, nil
}

func (q labelQuerier) collected(ctx context.Context, hints *storage.LabelHints, matchers []*labels.Matcher, collect func(labels.Labels, map[string]struct{})) ([]string, annotations.Annotations, error) {
	found := map[string]struct{}{}
	set := q.open(ctx, false, &storage.SelectHints{Start: q.mint, End: q.maxt, Func: "series"}, matchers)
	for set.Next() {
		collect(set.at.Labels, found)
	}
	if err := set.Err(); err != nil {
		return nil, nil, err
	}
	out, _ := hints.ApplyLimit(slices.Sorted(maps.Keys(found)))
	return out, nil, nil
}

// truncated is what servers say where there is more than the limit.
const truncated = "results truncated due to limit"

// Times outside of these are no bounds: the API takes times of a few thousand years only.
const (
	minTime = math.MinInt64 / 1_000_000
	maxTime = math.MaxInt64 / 1_000_000
)

// seconds is a time as the API takes it.
func seconds(ms int64) string {
	sign := ""
	if ms < 0 {
		sign, ms = "-", -ms
	}
	return fmt.Sprintf("%s%d.%03d", sign, ms/1000, ms%1000)
}

// selector is matchers as PromQL.
func selector(matchers []*labels.Matcher) string {
	texts := make([]string, len(matchers))
	for i, m := range matchers {
		texts[i] = m.String()
	}
	return "{" + strings.Join(texts, ",") + "}"
}
