package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/bench/peer"
	"github.com/stride-promql/stride/bench/peers/promqlpeer"
)

// selection is what one selector of a query needs: series, and their samples in [mint, maxt] ms.
type selection struct {
	matchers   []*labels.Matcher
	mint, maxt int64
}

// lookback is that of the engines.
const lookback = 5 * time.Minute

// selections are the different selections of a query.
func selections(q peer.Query) ([]selection, error) {
	expr, err := promqlpeer.Parser().ParseExpr(q.Expr)
	if err != nil {
		return nil, err
	}
	start, end, step := time.UnixMilli(q.Start), time.UnixMilli(max(q.Start, q.End)), time.Duration(q.Step)*time.Millisecond
	if q.Step == 0 {
		end = start
	}
	if expr, err = promql.PreprocessExpr(expr, start, end, step); err != nil {
		return nil, err
	}
	var out []selection
	seen := map[string]bool{}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		s := selection{matchers: v.LabelMatchers}
		s.mint, s.maxt = times(v, path, start, end)
		if key := s.key(); !seen[key] {
			seen[key] = true
			out = append(out, s)
		}
		return nil
	})
	return out, nil
}

func (s selection) key() string {
	var b strings.Builder
	for _, m := range s.matchers {
		b.WriteString(m.String() + ",")
	}
	fmt.Fprint(&b, s.mint, s.maxt)
	return b.String()
}

// times are the times that a selector looks at, with the subqueries around it and, if it is in a matrix selector, its range.
func times(v *parser.VectorSelector, path []parser.Node, start, end time.Time) (mint, maxt int64) {
	from, to := start, end
	width := lookback
	for _, n := range path {
		switch n := n.(type) {
		case *parser.SubqueryExpr:
			if n.Timestamp != nil {
				from, to = time.UnixMilli(*n.Timestamp), time.UnixMilli(*n.Timestamp)
			}
			from, to = from.Add(-n.OriginalOffset-n.Range), to.Add(-n.OriginalOffset)
		case *parser.MatrixSelector:
			width = n.Range
		}
	}
	if v.Timestamp != nil {
		from, to = time.UnixMilli(*v.Timestamp), time.UnixMilli(*v.Timestamp)
	}
	if v.Anchored || v.Smoothed {
		width += lookback
	}
	from, to = from.Add(-v.OriginalOffset-width), to.Add(-v.OriginalOffset)
	if v.Smoothed {
		to = to.Add(lookback)
	}
	return from.UnixMilli() + 1, to.UnixMilli()
}
