package golden

import "math"

// example is a message with all that there is in some version of it.
type example struct {
	name, of string
	fields   Fields
}

// Labels need not be UTF-8 for Thanos.
const notUTF8 = "\xff\xfe"

func label(name, value string) Fields { return Fields{"name": name, "value": value} }

var (
	external = Fields{"labels": []Fields{label("cluster", "a"), label("replica", notUTF8)}}
	series   = []Fields{label("__name__", "m"), label("pod", "1"), label("raw", notUTF8)}

	matchers = []Fields{
		{"type": 0, "name": "__name__", "value": "m"},
		{"type": 1, "name": "a", "value": notUTF8},
		{"type": 2, "name": "b", "value": "x|y"},
		{"type": 3, "name": "c", "value": ".+"},
	}
	storeMatchers = []Fields{{"labelMatchers": matchers[:2]}, {"labelMatchers": matchers[2:]}}
	shard         = Fields{"shard_index": 1, "total_shards": 3, "by": true, "labels": []string{"pod", "zone"}}

	blocks = []Fields{{"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}}

	// xor are the samples 1 at 1000 and 2.5 at 16000.
	xor = []byte("\x00\x02\xd0\x0f?\xf0\x00\x00\x00\x00\x00\x00\x98u\xc2o\xff@")
	raw = Fields{"min_time": 1000, "max_time": 16000, "raw": Fields{"type": 0, "data": xor, "hash": uint64(math.MaxUint64)}}
)

// chunk is one of downsampled data.
func chunk(hash int) Fields { return Fields{"type": 0, "data": xor, "hash": hash} }

var (
	aggregated = Fields{"min_time": 0, "max_time": 300000, "count": chunk(1), "sum": chunk(2), "min": chunk(3), "max": chunk(4), "counter": chunk(5)}

	floats = Fields{
		"labels":  series,
		"samples": []Fields{{"value": 1.5, "timestamp": 1000}, {"value": math.Inf(-1), "timestamp": 2000}, {"value": math.NaN(), "timestamp": 3000}},
	}
	histograms = Fields{
		"labels": series,
		"histograms": []Fields{
			{
				"count_float": 12.5, "sum": -3.25, "schema": -1, "zero_threshold": 0.25, "zero_count_float": 1.5,
				"negative_spans": []Fields{{"offset": -2, "length": 1}, {"offset": 3, "length": 1}}, "negative_counts": []float64{1, 2},
				"positive_spans": []Fields{{"offset": 0, "length": 3}}, "positive_counts": []float64{3, 4, 1},
				"reset_hint": 3, "timestamp": 1000,
			},
		},
	}
	custom = Fields{
		"labels": series,
		"histograms": []Fields{{
			"count_float": 3., "sum": 4.5, "schema": -53, "zero_count_float": 0.,
			"positive_spans": []Fields{{"offset": 0, "length": 3}}, "positive_counts": []float64{1, 1, 1},
			"reset_hint": 2, "timestamp": 2000, "custom_values": []float64{0.5, 2},
		}},
	}
	// integers are what only samples that are stored have.
	integers = Fields{
		"labels": series,
		"histograms": []Fields{{
			"count_int": 6, "sum": 7.5, "schema": 2, "zero_threshold": 1e-128, "zero_count_int": 1,
			"negative_spans": []Fields{{"offset": 1, "length": 1}}, "negative_deltas": []int{2},
			"positive_spans": []Fields{{"offset": -4, "length": 2}}, "positive_deltas": []int{2, -1},
			"reset_hint": 1, "timestamp": 1000,
		}},
	}
	exemplars = Fields{
		"labels":    series,
		"samples":   []Fields{{"value": 1., "timestamp": 1000}},
		"exemplars": []Fields{{"labels": []Fields{label("trace", "x")}, "value": 2., "timestamp": 900}},
	}
)

// messages are examples of all that is said between queriers, and between them and stores.
var messages = []example{
	{"info request", "infopb.InfoRequest", Fields{}},
	{"info of a querier", "infopb.InfoResponse", Fields{
		"label_sets": []Fields{external, {"labels": []Fields{label("cluster", "b")}}}, "ComponentType": "query",
		"store": Fields{
			"min_time": -62135596800000, "max_time": int64(math.MaxInt64), "supports_sharding": true, "supports_without_replica_labels": true,
			"tsdb_infos": []Fields{
				{"labels": external, "min_time": 1000, "max_time": 7200000},
				{"labels": external, "min_time": 14400000, "max_time": int64(math.MaxInt64)},
				{"labels": Fields{"labels": []Fields{label("cluster", "b")}}, "min_time": 500, "max_time": 600},
			},
		},
		"rules": Fields{}, "metric_metadata": Fields{}, "targets": Fields{}, "exemplars": Fields{"min_time": 1, "max_time": 2}, "query": Fields{}, "status": Fields{},
	}},
	{"info of a sidecar", "infopb.InfoResponse", Fields{
		"label_sets": []Fields{external}, "ComponentType": "sidecar",
		"store": Fields{"min_time": 1000, "max_time": int64(math.MaxInt64), "tsdb_infos": []Fields{{"labels": external, "min_time": 1000, "max_time": int64(math.MaxInt64)}}},
		"rules": Fields{}, "metric_metadata": Fields{}, "targets": Fields{}, "exemplars": Fields{"min_time": math.MinInt64, "max_time": int64(math.MaxInt64)}, "status": Fields{},
	}},
	{"info without data sets", "infopb.InfoResponse", Fields{
		"label_sets": []Fields{external}, "ComponentType": "query", "store": Fields{"min_time": 1000, "max_time": 5000}, "query": Fields{}, "status": Fields{},
	}},
	{"info without external labels", "infopb.InfoResponse", Fields{
		"ComponentType": "sidecar", "store": Fields{"min_time": 1000, "max_time": int64(math.MaxInt64)},
	}},

	{"instant query", "querypb.QueryRequest", Fields{
		"query": `sum by (pod) (m{raw="` + notUTF8 + `"})`, "time_seconds": 1700000000, "timeout_seconds": 60, "max_resolution_seconds": 300,
		"replica_labels": []string{"replica", "prometheus_replica"}, "storeMatchers": storeMatchers, "enableDedup": true, "enablePartialResponse": true, "enableQueryPushdown": true,
		"skipChunks": true, "shard_info": shard, "lookback_delta_seconds": 300, "engine": 1,
		"queryPlan": Fields{"json": []byte(`{"type":"number_literal","data":{"Val":1}}`)}, "response_batch_size": 64,
	}},
	{"range query", "querypb.QueryRangeRequest", Fields{
		"query": "rate(m[5m])", "start_time_seconds": -3600, "end_time_seconds": 1700000000, "interval_seconds": 15, "timeout_seconds": 120, "max_resolution_seconds": 3600,
		"replica_labels": []string{"replica"}, "storeMatchers": storeMatchers, "enableDedup": true, "enablePartialResponse": true, "enableQueryPushdown": true,
		"skipChunks": true, "shard_info": shard, "lookback_delta_seconds": 60, "engine": 2,
		"queryPlan": Fields{"json": []byte(`{"type":"number_literal","data":{"Val":1}}`)}, "response_batch_size": 64,
	}},
	{"warnings of an instant query", "querypb.QueryResponse", Fields{"warnings": "one, PromQL info: two, " + notUTF8}},
	{"floats of an instant query", "querypb.QueryResponse", Fields{"timeseries": floats}},
	{"histograms of an instant query", "querypb.QueryResponse", Fields{"timeseries": histograms}},
	{"custom buckets of an instant query", "querypb.QueryResponse", Fields{"timeseries": custom}},
	{"statistics of an instant query", "querypb.QueryResponse", Fields{"stats": Fields{"samples_total": 12345, "peak_samples": 67}}},
	{"batch of an instant query", "querypb.QueryResponse", Fields{"timeseries_batch": Fields{"series": []Fields{floats, histograms, custom}}}},
	{"warnings of a range query", "querypb.QueryRangeResponse", Fields{"warnings": "one"}},
	{"floats of a range query", "querypb.QueryRangeResponse", Fields{"timeseries": floats}},
	{"integer histograms of a range query", "querypb.QueryRangeResponse", Fields{"timeseries": integers}},
	{"exemplars of a range query", "querypb.QueryRangeResponse", Fields{"timeseries": exemplars}},
	{"statistics of a range query", "querypb.QueryRangeResponse", Fields{"stats": Fields{"samples_total": 1, "peak_samples": 2}}},
	{"batch of a range query", "querypb.QueryRangeResponse", Fields{"timeseries_batch": Fields{"series": []Fields{histograms, floats}}}},

	{"series request", "storepb.SeriesRequest", Fields{
		"min_time": -1, "max_time": 1700000000000, "matchers": matchers, "max_resolution_window": 300000, "aggregates": []int{0, 1, 2, 3, 4, 5},
		"partial_response_disabled": true, "partial_response_strategy": 1, "skip_chunks": true,
		"hints": packed{"hintspb.SeriesRequestHints", Fields{"block_matchers": matchers[:1], "enable_query_stats": true}},
		"step":  15000, "range": 300000,
		"query_hints": Fields{
			"step_millis": 15000, "func": Fields{"name": "rate"}, "grouping": Fields{"by": true, "labels": []string{"pod"}}, "range": Fields{"millis": 300000},
			"projection_labels": []string{"pod"}, "projection_include": true,
		},
		"shard_info": shard, "without_replica_labels": []string{"replica"}, "limit": 1000, "response_batch_size": 64,
	}},
	{"raw series", "storepb.SeriesResponse", Fields{"series": Fields{"labels": series, "chunks": []Fields{raw, raw}}}},
	{"downsampled series", "storepb.SeriesResponse", Fields{"series": Fields{"labels": series, "chunks": []Fields{aggregated}}}},
	{"series without chunks", "storepb.SeriesResponse", Fields{"series": Fields{"labels": series}}},
	{"warning of a store", "storepb.SeriesResponse", Fields{"warning": "one"}},
	{"hints of a store", "storepb.SeriesResponse", Fields{"hints": packed{"hintspb.SeriesResponseHints", Fields{"queried_blocks": blocks, "query_stats": Fields{"blocks_queried": 1, "series_touched": 2}}}}},
	{"batch of series", "storepb.SeriesResponse", Fields{"batch": Fields{"series": []Fields{{"labels": series, "chunks": []Fields{raw}}, {"labels": series[:2], "chunks": []Fields{aggregated}}}}}},

	{"label names request", "storepb.LabelNamesRequest", Fields{
		"partial_response_disabled": true, "partial_response_strategy": 1, "start": 1, "end": 2, "hints": packed{"hintspb.LabelNamesRequestHints", Fields{"block_matchers": matchers[:1]}},
		"matchers": matchers, "without_replica_labels": []string{"replica"}, "limit": 10,
	}},
	{"label names", "storepb.LabelNamesResponse", Fields{
		"names": []string{"__name__", notUTF8}, "warnings": []string{"one", notUTF8}, "hints": packed{"hintspb.LabelNamesResponseHints", Fields{"queried_blocks": blocks}},
	}},
	{"label values request", "storepb.LabelValuesRequest", Fields{
		"label": "pod", "partial_response_disabled": true, "partial_response_strategy": 1, "start": 1, "end": 2,
		"hints":    packed{"hintspb.LabelValuesRequestHints", Fields{"block_matchers": matchers[:1]}},
		"matchers": matchers, "without_replica_labels": []string{"replica"}, "limit": 10,
	}},
	{"label values", "storepb.LabelValuesResponse", Fields{
		"values": []string{"1", notUTF8}, "warnings": []string{"one"}, "hints": packed{"hintspb.LabelValuesResponseHints", Fields{"queried_blocks": blocks}},
	}},
}
