package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

func (a *API) labelNames(r *http.Request) answer {
	return a.lookup(r, func(q storage.Querier, hints *storage.LabelHints, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(r.Context(), hints, matchers...)
	})
}

func (a *API) labelValues(r *http.Request) answer {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return answer{err: badData(fmt.Errorf("invalid label name: %q", name))}
	}
	return a.lookup(r, func(q storage.Querier, hints *storage.LabelHints, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(r.Context(), name, hints, matchers...)
	})
}

// lookup answers with the names or values that read finds for any of the selectors of a request, sorted.
func (a *API) lookup(r *http.Request, read func(storage.Querier, *storage.LabelHints, []*labels.Matcher) ([]string, annotations.Annotations, error)) (res answer) {
	limit, apiErr := limitParam(r)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	start, end, apiErr := timeRange(r)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	sets, err := a.matchParams(r)
	if err != nil {
		return answer{err: badData(err)}
	}
	q, apiErr := a.querier(r, start.UnixMilli(), end.UnixMilli())
	if apiErr != nil {
		return answer{err: apiErr}
	}
	// The texts may point into the storage.
	free := func() { _ = q.Close() }
	defer func() {
		if res.free == nil { // also after a panic
			free()
		}
	}()
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	var (
		found    = map[string]struct{}{}
		warnings annotations.Annotations
	)
	for _, matchers := range sets {
		some, w, err := read(q, &storage.LabelHints{Limit: hintLimit(limit)}, matchers)
		if err != nil {
			return answer{err: executionError(err), free: free}
		}
		warnings.Merge(w)
		for _, s := range some {
			found[s] = struct{}{}
		}
	}
	all := slices.Sorted(maps.Keys(found))
	if limit > 0 && len(all) > limit {
		all = all[:limit]
		warnings.Add(errTruncated)
	}
	return answer{data: texts(all), warnings: warnings, free: free}
}

// querier opens the storage that a request reads labels from.
func (a *API) querier(r *http.Request, mint, maxt int64) (storage.Querier, *apiError) {
	o, apiErr := a.requestOptions(r, 0)
	if apiErr != nil {
		return nil, apiErr
	}
	from, err := a.opts.Backend.Queryable(o)
	if err != nil {
		return nil, badData(err)
	}
	q, err := from.Querier(mint, maxt)
	if err != nil {
		return nil, executionError(err)
	}
	return q, nil
}

func (a *API) series(r *http.Request) (res answer) {
	if err := r.ParseForm(); err != nil {
		return answer{err: badData(fmt.Errorf("error parsing form values: %w", err))}
	}
	if len(r.Form["match[]"]) == 0 {
		return answer{err: badData(errors.New("no match[] parameter provided"))}
	}
	limit, apiErr := limitParam(r)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	start, end, apiErr := timeRange(r)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	sets, err := a.matchParams(r)
	if err != nil {
		return answer{err: invalidParameter("match[]", err)}
	}
	mint, maxt := start.UnixMilli(), end.UnixMilli()
	q, apiErr := a.querier(r, mint, maxt)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	free := func() { _ = q.Close() }
	defer func() {
		if res.free == nil { // also after a panic
			free()
		}
	}()
	// No samples are needed, of which storages that know the name "series" make use.
	hints := &storage.SelectHints{Start: mint, End: maxt, Func: "series", Limit: hintLimit(limit)}
	var found []storage.SeriesSet
	for _, matchers := range sets {
		found = append(found, q.Select(r.Context(), len(sets) > 1, hints, matchers...))
	}
	set := found[0]
	if len(found) > 1 {
		set = storage.NewMergeSeriesSet(found, 0, storage.ChainedSeriesMerge)
	}
	return listSeries(r, set, limit, free)
}

// checkContextEvery is after how many series it is looked whether the client is gone.
const checkContextEvery = 128

// listSeries answers with the labels of series.
func listSeries(r *http.Request, set storage.SeriesSet, limit int, free func()) answer {
	list := labelSets{}
	var warnings annotations.Annotations
	for set.Next() {
		if len(list)%checkContextEvery == 0 {
			if err := r.Context().Err(); err != nil {
				return answer{err: executionError(err), free: free}
			}
		}
		if limit > 0 && len(list) == limit {
			warnings.Add(errTruncated)
			break
		}
		list = append(list, set.At().Labels())
	}
	if err := set.Err(); err != nil {
		return answer{err: executionError(err), free: free}
	}
	warnings.Merge(set.Warnings())
	return answer{data: list, warnings: warnings, free: free}
}
