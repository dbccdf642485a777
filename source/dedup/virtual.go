package dedup

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/prometheus/prometheus/tsdb/chunks"
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
	slices.SortStableFunc(all, compareChunks)
	all = slices.CompactFunc(all, func(a, b chunks.Meta) bool {
		return compareChunks(a, b) == 0 && a.Chunk.Encoding() == b.Chunk.Encoding()
	})
	for _, m := range all {
		i := slices.IndexFunc(split, func(v []chunks.Meta) bool { return v[len(v)-1].MaxTime < m.MinTime })
		if i < 0 {
			i, split = len(split), append(split, nil)
		}
		split[i] = append(split[i], m)
	}
	return split, true, nil
}

func compareChunks(a, b chunks.Meta) int {
	return cmp.Or(cmp.Compare(a.MinTime, b.MinTime), cmp.Compare(a.MaxTime, b.MaxTime), bytes.Compare(a.Chunk.Bytes(), b.Chunk.Bytes()))
}
