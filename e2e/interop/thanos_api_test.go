package interop

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// emptyAnalysis is what Thanos' querier says of queries that it was not asked to analyze.
var emptyAnalysis = regexp.MustCompile(`,"analysis":\{\}`)

// Stride takes Thanos' parameters, and means by them what Thanos' querier does, over the same sidecars of pairs of servers.
func TestThanosParameters(t *testing.T) {
	d := generate(t, steady)
	var sidecars []string
	for i, dir := range d.dirs {
		sidecars = append(sidecars, pair(t, dir, regions[i], "a", "b")...)
	}
	thanos := thanosQuery(t, sidecars)
	root := stride(t, append(endpoints(sidecars...), "--query.replica-label=replica")...)
	both := func(path string, params ...string) (r apiRequest, want, got apiAnswer) {
		r = apiRequest{method: http.MethodGet, path: path, params: form(params...)}
		want, got = r.send(t, thanos.url), r.send(t, root.url)
		// Its headers are not Prometheus', which Stride's are.
		want.header, got.header = nil, nil
		want.body = emptyAnalysis.ReplaceAll(want.body, nil)
		return r, want, got
	}
	const query = `count by (region, replica) (up)`
	asked := func(params []string, compare func(r apiRequest, want, got apiAnswer)) {
		compare(both("query", append(params, "query", query, "time", apiEnd)...))
		compare(both("query_range", append(params, "query", query, "start", apiStart, "end", apiEnd, "step", "1800")...))
	}
	listed := func(params []string, compare func(r apiRequest, want, got apiAnswer)) {
		compare(both("label/region/values", append(params, "start", apiStart, "end", apiEnd)...))
		compare(both("series", append(params, "match[]", "build_info", "start", apiStart, "end", apiEnd)...))
	}
	same := func(r apiRequest, want, got apiAnswer) {
		require.Equal(t, http.StatusOK, want.status, r)
		require.True(t, want.equal(t, got), "%s\n want %s\n got  %s", r, want, got)
	}
	for _, params := range [][]string{
		{}, {"dedup", "true"}, {"dedup", "1"}, {"dedup", "false"}, {"dedup", "0"}, {"dedup", ""},
		{"replicaLabels[]", "replica"}, {"replicaLabels[]", "nothing"}, {"replicaLabels[]", "region"}, {"replicaLabels[]", "replica", "replicaLabels[]", "region"}, {"dedup", "false", "replicaLabels[]", "region"},
		{"partial_response", "true"}, {"partial_response", "false"},
		{"max_source_resolution", "0"}, {"max_source_resolution", "0s"}, {"max_source_resolution", "5m"}, {"max_source_resolution", "300"}, {"max_source_resolution", "auto"},
		{"engine", "thanos"}, {"engine", "prometheus"}, {"engine", ""},
		{"storeMatch[]", `{__address__="` + sidecars[0] + `"}`}, {"storeMatch[]", `{__address__=~"` + sidecars[0] + `|` + sidecars[2] + `"}`},
		{"storeMatch[]", `{__address__="` + sidecars[0] + `"}`, "storeMatch[]", `{__address__="` + sidecars[3] + `"}`},
		{"storeMatch[]", `{__address__="` + sidecars[1] + `"}`, "dedup", "0"},
	} {
		asked(params, same)
		listed(params, same)
	}
	// An address of no store finds nothing, in Thanos silently.
	asked([]string{"storeMatch[]", `{__address__="nobody"}`}, func(r apiRequest, want, got apiAnswer) {
		require.Equal(t, want.status, got.status, r)
		require.Contains(t, string(got.body), `"result":[]`)
	})
	// Errors have the texts that Prometheus' parameters have.
	for _, params := range [][]string{
		{"dedup", "x"}, {"partial_response", "x"}, {"max_source_resolution", "x"}, {"max_source_resolution", "-1"}, {"engine", "x"}, {"storeMatch[]", "("}, {"shard_info", "x"},
	} {
		asked(params, func(r apiRequest, want, got apiAnswer) {
			require.Equal(t, http.StatusBadRequest, want.status, r)
			require.Equal(t, want.status, got.status, r)
			require.Contains(t, string(got.body), `"errorType":"bad_data","error":"invalid parameter \"`+params[0])
		})
	}

	t.Run("explain", func(t *testing.T) {
		for path, params := range map[string][]string{
			"query_explain":       {"query", "sum(up)", "time", apiEnd, "engine", "thanos"},
			"query_range_explain": {"query", "sum(up)", "start", apiStart, "end", apiEnd, "step", "1800", "engine", "thanos"},
		} {
			r, want, got := both(path, params...)
			require.Equal(t, http.StatusOK, want.status, r)
			require.Equal(t, http.StatusOK, got.status, r)
			requireFields(t, treeOf(t, want, ""), treeOf(t, got, ""))
		}
	})
	t.Run("analyze", func(t *testing.T) {
		asked([]string{"engine", "thanos", "analyze", "true"}, func(r apiRequest, want, got apiAnswer) {
			require.Equal(t, http.StatusOK, got.status, r)
			// Its operators hold samples, Stride's bytes.
			theirs, ours := treeOf(t, want, "analysis"), treeOf(t, got, "analysis")
			require.NotEmpty(t, theirs)
			delete(theirs, "peakSamples")
			delete(theirs, "fanout")
			requireFields(t, theirs, ours)
		})
	})
	t.Run("stores", func(t *testing.T) {
		_, want, got := both("stores")
		var theirs, ours struct{ Data map[string][]map[string]any }
		require.NoError(t, json.Unmarshal(want.body, &theirs))
		require.NoError(t, json.Unmarshal(got.body, &ours))
		require.Len(t, ours.Data["sidecar"], len(sidecars))
		require.ElementsMatch(t, slices.Collect(maps.Keys(theirs.Data)), slices.Collect(maps.Keys(ours.Data)))
		byName := map[any]map[string]any{}
		for _, s := range ours.Data["sidecar"] {
			byName[s["name"]] = s
		}
		for _, s := range theirs.Data["sidecar"] {
			o := byName[s["name"]]
			require.ElementsMatch(t, slices.Collect(maps.Keys(s)), slices.Collect(maps.Keys(o)))
			for _, field := range []string{"lastError", "minTime", "maxTime"} {
				require.Equal(t, s[field], o[field], field)
			}
			require.IsType(t, s["lastCheck"], o["lastCheck"])
			// Without the replica labels: copies of the same data are not told apart.
			for _, l := range s["labelSets"].([]any) {
				delete(l.(map[string]any), "replica")
			}
			require.Equal(t, s["labelSets"], o["labelSets"])
		}
	})
}

// treeOf is the operator at the root of an answer's data, or of a field of that.
func treeOf(t *testing.T, a apiAnswer, field string) map[string]any {
	t.Helper()
	var answer struct{ Data map[string]any }
	require.NoError(t, json.Unmarshal(a.body, &answer), string(a.body))
	if field == "" {
		return answer.Data
	}
	tree, ok := answer.Data[field].(map[string]any)
	require.True(t, ok, string(a.body))
	return tree
}

// requireFields fails the test unless each operator of a tree has the fields that another's root has, and of the same types; those without input have
// no children.
func requireFields(t *testing.T, theirs, ours map[string]any) {
	t.Helper()
	for name, v := range theirs {
		if _, ok := ours[name]; !ok && name == "children" {
			continue
		}
		require.IsType(t, v, ours[name], name)
	}
	children, _ := ours["children"].([]any)
	for _, c := range children {
		requireFields(t, theirs, c.(map[string]any))
	}
}
