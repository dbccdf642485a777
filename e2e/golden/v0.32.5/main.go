// Command golden makes wire bytes with the types of Thanos v0.32.5.
package main

import (
	"github.com/thanos-io/thanos/pkg/api/query/querypb"
	"github.com/thanos-io/thanos/pkg/info/infopb"
	"github.com/thanos-io/thanos/pkg/store/hintspb"
	"github.com/thanos-io/thanos/pkg/store/storepb"

	"github.com/stride-promql/stride/e2e/golden"
)

func main() {
	golden.Main(
		&infopb.InfoRequest{}, &infopb.InfoResponse{},
		&querypb.QueryRequest{}, &querypb.QueryResponse{}, &querypb.QueryRangeRequest{}, &querypb.QueryRangeResponse{},
		&storepb.SeriesRequest{}, &storepb.SeriesResponse{},
		&storepb.LabelNamesRequest{}, &storepb.LabelNamesResponse{}, &storepb.LabelValuesRequest{}, &storepb.LabelValuesResponse{},
		&hintspb.SeriesRequestHints{}, &hintspb.SeriesResponseHints{}, &hintspb.LabelNamesRequestHints{}, &hintspb.LabelNamesResponseHints{},
		&hintspb.LabelValuesRequestHints{}, &hintspb.LabelValuesResponseHints{},
	)
}
