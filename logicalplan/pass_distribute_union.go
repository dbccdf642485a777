package logicalplan

import (
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// united is a part of the query that several engines evaluate.
type united struct {
	fragment Node
	of       Node // what the union of the results stands for
	unmixed  bool // see Remote
	apart    bool // of equal series of several sources all count, as what each has of one group
}

// union is a part evaluated by all engines whose data may matter. It gives nil if the root would have to evaluate steps of a part whose results are to
// be kept apart: what it sees is of all sources.
func (d *distributor) union(p united, at Times) *Dedup {
	var (
		t        = d.topology
		needs    = needs(p.fragment, d.lookback)
		selected = matchersOf(p.fragment)
		matches  = make([]bool, len(t.engines))
		members  = make([][]member, len(t.patterns))
		open     = make([][]StepRange, len(t.patterns)) // steps that no engine covers
		asked    = make([]StepRange, len(t.engines))
		local    StepRange
		ends     = int64(math.MinInt64) // of all that might have had data
	)
	for i := range t.engines {
		matches[i] = slices.ContainsFunc(selected, t.values[i].mayMatch)
	}
	ranking := &setRanking{index: t.index, runs: make([][]Run, len(t.patterns)), here: -1}
	for i := range t.patterns {
		all := &t.patterns[i]
		some := pattern{members: slices.DeleteFunc(slices.Clone(all.members), func(m member) bool { return !matches[m.engine] })}
		if len(some.members) == 0 || !all.mayMatch(selected) {
			continue
		}
		members[i] = some.members
		ranking.runs[i], open[i] = some.ranks(needs, at, func(e int) string { return t.engines[e].Name() })
		for _, m := range some.members {
			ends = max(ends, m.intervals.End())
		}
	}
	if t.entangled {
		for i, doubts := range doubtful(members, ranking.runs, needs, at) {
			ranking.runs[i] = emptied(ranking.runs[i], doubts)
			open[i] = mergeRanges(append(open[i], doubts...))
		}
	}
	for i, runs := range ranking.runs {
		for _, r := range runs {
			for _, m := range r.Inputs {
				e := members[i][m].engine
				asked[e] = asked[e].hull(r.StepRange)
			}
		}
		for _, r := range open[i] {
			local = local.hull(r)
		}
	}
	if p.apart && !local.none() {
		return nil
	}
	if variesByStep(p.fragment) {
		askForAll(asked, local, at)
	}
	out := &Dedup{Partition: t.partition, Ranking: ranking, Of: p.of}
	input := make([]int, len(t.engines))
	queries := map[int]*RemoteQuery{} // by source, if these are to be kept apart
	for i, e := range t.engines {
		if asked[i].none() {
			continue
		}
		source := 0
		if p.apart {
			source = t.sources[i]
		}
		query, ok := queries[source]
		if !ok {
			query = newRemoteQuery(ofSource(p.fragment, source), at, d.lookback)
			queries[source] = query
		}
		input[i] = len(out.Inputs)
		out.Inputs = append(out.Inputs, &Remote{Engine: e, Query: query, Times: at, Steps: asked[i], Unmixed: p.unmixed})
	}
	if !local.none() {
		ranking.here = len(out.Inputs)
		out.Inputs = append(out.Inputs, &Section{Expr: p.fragment, Steps: local, Unmixed: p.unmixed})
	}
	// From members of patterns to inputs.
	for i, runs := range ranking.runs {
		for k := range runs {
			r := &runs[k]
			for j, m := range r.Inputs {
				r.Inputs[j] = input[members[i][m].engine]
			}
			if among(open[i], r.From) {
				r.Inputs = []int{ranking.here}
			}
		}
	}
	if len(out.Inputs) == 0 && latest(needs, at) > ends && ends > math.MinInt64 {
		d.notes.Add(errBehindCoverage(p.of, ends))
	}
	for _, e := range t.unheard {
		out.Inputs = append(out.Inputs, &Remote{Engine: e, Query: newRemoteQuery(p.fragment, at, d.lookback), Times: at, Steps: at.all(), Unheard: true})
	}
	return out
}

// ofSource is a fragment whose result says which source it is of.
func ofSource(fragment Node, source int) Node {
	if source == 0 {
		return fragment
	}
	args := []Node{fragment}
	for _, s := range []string{SourceLabel, strconv.Itoa(source), "", ""} {
		args = append(args, &StringLiteral{Val: s, PosRange: fragment.Pos()})
	}
	return &Call{Func: parser.Functions["label_replace"], Args: args, PosRange: fragment.Pos()}
}

// matchersOf are those of all selectors of n.
func matchersOf(n Node) [][]*labels.Matcher {
	var out [][]*labels.Matcher
	Walk(n, func(n Node) bool {
		if v, ok := n.(*VectorSelector); ok {
			out = append(out, v.Matchers)
		}
		return true
	})
	return out
}

// none tells whether there is no step.
func (r StepRange) none() bool { return r.From >= r.To }

// hull is the least range with both.
func (r StepRange) hull(o StepRange) StepRange {
	if r.none() {
		return o
	}
	return StepRange{min(r.From, o.From), max(r.To, o.To)}
}
