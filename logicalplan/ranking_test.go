package logicalplan

import (
	"math/rand"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// ranks say at each step what the rule says: an engine may count unless a part of what is needed, which it lacks, is
// covered by another; first those that have all of it, then the ones that reach further, then by name. That data may have grown lets its engine
// count where nobody has announced anything.
func TestRanksFollowTheRule(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	name := strconv.Itoa
	for range 3000 {
		p := pattern{}
		for e := range 1 + rng.Intn(4) {
			var in []remote.Interval
			for range 1 + rng.Intn(3) {
				lo := int64(rng.Intn(400)) - 50
				i := remote.Interval{Start: lo, End: lo + int64(rng.Intn(200))}
				switch rng.Intn(8) {
				case 0:
					i.Start = remote.Always.Start
				case 1:
					i.End = remote.Always.End
				}
				in = append(in, i)
			}
			p.members = append(p.members, member{e, remote.Union(in...), rng.Intn(3) == 0})
		}
		var ns []need
		for range 1 + rng.Intn(3) {
			lo := int64(rng.Intn(200)) - 150
			ns = append(ns, need{lo: lo, hi: lo + int64(rng.Intn(80)), fixed: rng.Intn(5) == 0})
		}
		times := Times{Start: int64(rng.Intn(100)), Interval: int64(1 + rng.Intn(30))}
		times.End = times.Start + int64(rng.Intn(300))
		runs, uncovered := p.ranks(ns, times, name)

		step := 0
		for _, r := range runs {
			require.Equal(t, step, r.From, "runs have no gaps")
			require.Less(t, r.From, r.To)
			for ; step < r.To; step++ {
				var windows []remote.Interval
				for _, n := range ns {
					lo, hi := n.at(times.Start + int64(step)*times.Interval)
					windows = append(windows, remote.Interval{Start: lo, End: hi})
				}
				needed := remote.Union(windows...)
				var order []int
				data := false
				has := func(m member) remote.Intervals { return needed.Without(needed.Without(m.reach())) }
				for i, m := range p.members {
					if len(has(m)) == 0 {
						continue
					}
					data = true
					lacks := needed.Without(m.intervals)
					eligible := true
					for j, o := range p.members {
						for _, l := range lacks {
							eligible = eligible && (i == j || !o.intervals.Meets(l))
						}
					}
					if !eligible {
						continue
					}
					at := len(order)
					for at > 0 {
						x := p.members[order[at-1]]
						all, before := len(lacks) == 0, len(needed.Without(x.intervals)) == 0
						if before && !all || before == all && (x.intervals.End() > m.intervals.End() || x.intervals.End() == m.intervals.End() && name(x.engine) < name(m.engine)) {
							break
						}
						at--
					}
					order = append(order[:at], append([]int{i}, order[at:]...)...)
				}
				local := among(uncovered, step)
				require.Equal(t, data && len(order) == 0, local, "step %d", step)
				if !local {
					require.Equal(t, order, r.Inputs, "step %d of %+v: needs %+v, members %+v", step, times, ns, p.members)
				}
			}
		}
		require.Equal(t, times.steps(), step)
	}
}
