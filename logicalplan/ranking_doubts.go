package logicalplan

import "slices"

// doubtful are the steps of each pattern at which an engine that has data of it does not count for it, but for another pattern: of
// which of the two a series of its is, labels may not tell. members and runs are those of the patterns.
func doubtful(members [][]member, runs [][]Run, needs []need, times Times) [][]StepRange {
	counts := map[int][][]StepRange{} // engine -> pattern -> when it counts
	for i, rs := range runs {
		for _, r := range rs {
			for _, m := range r.Inputs {
				e := members[i][m].engine
				if counts[e] == nil {
					counts[e] = make([][]StepRange, len(runs))
				}
				counts[e][i] = append(counts[e][i], r.StepRange)
			}
		}
	}
	out := make([][]StepRange, len(runs))
	for i, ms := range members {
		for _, m := range ms {
			by := counts[m.engine]
			if by == nil {
				continue
			}
			var elsewhere []StepRange
			for j, ranges := range by {
				if j != i {
					elsewhere = append(elsewhere, ranges...)
				}
			}
			// Not where it counts for this pattern, nor where it counts for no other.
			sure := mergeRanges(append(times.all().without(mergeRanges(elsewhere)), by[i]...))
			for _, r := range stepsThatMeet(m.reach(), needs, times) {
				out[i] = append(out[i], r.without(sure)...)
			}
		}
		out[i] = mergeRanges(out[i])
	}
	return out
}

// emptied are runs without any input at the given steps, which are in order and apart.
func emptied(runs []Run, steps []StepRange) []Run {
	var out []Run
	for _, r := range runs {
		kept := r.without(steps)
		for _, empty := range r.without(kept) {
			for len(kept) > 0 && kept[0].From < empty.From {
				out, kept = append(out, Run{kept[0], slices.Clone(r.Inputs)}), kept[1:]
			}
			out = append(out, Run{StepRange: empty})
		}
		for _, k := range kept {
			out = append(out, Run{k, slices.Clone(r.Inputs)})
		}
	}
	return out
}
