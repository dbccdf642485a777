package dedup

import (
	"slices"

	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/source/chunkseries"
)

// virtual puts the chunks of all replicas together anew, as Thanos' queriers do, which do not know whose they are: each chunk follows the first
// virtual replica that ended before it begins. So a replica that begins when another one is lost goes on in its place:
//
//	a     [----][----]            [----]        [----][----][----][----]
//	b      [----]      [----][----][----]   ->   [----]            [----]
//
// ok is false if some of the replicas have no chunks.
func virtual(replicas []replica) (split [][]chunks.Meta, ok bool, err error) {
	var all []chunks.Meta
	for _, r := range replicas {
		if r.chunks == nil {
			return nil, false, nil
		}
		it := r.chunks.Iterator(nil)
		for it.Next() {
			all = append(all, it.At())
		}
		if err := it.Err(); err != nil {
			return nil, true, err
		}
	}
	whole := chunkseries.Series{Chunks: all}
	whole.Arrange()
	for _, m := range whole.Chunks {
		i := slices.IndexFunc(split, func(v []chunks.Meta) bool { return v[len(v)-1].MaxTime < m.MinTime })
		if i < 0 {
			i, split = len(split), append(split, nil)
		}
		split[i] = append(split[i], m)
	}
	return split, true, nil
}
