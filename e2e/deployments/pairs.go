package deployments

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
)

// Pairs are environments with a pair of Prometheus servers each that scrape the same targets, and a leaf that removes the copies.
//
//	prometheus a - sidecar \
//	                        leaf eu \
//	prometheus b - sidecar /         root
//	                        leaf us /
func Pairs(t testing.TB, e *containers.Environment, all []Region) (leaves []Leaf) {
	t.Helper()
	for _, r := range all {
		leaves = append(leaves, Leaf{
			Name:   r.Name,
			Stores: []*containers.Node{Replica(t, e, r.Name, "a", r.Blocks...), Replica(t, e, r.Name, "b", r.second()...)},
			Flags:  []string{ByReplica},
		})
	}
	return leaves
}

// PairWithOutages is an environment of which each server missed what is in one block of four, one after the other.
func PairWithOutages(t testing.TB, e *containers.Environment, r Region) Leaf {
	t.Helper()
	a, b := r.Blocks, r.second()
	return Leaf{
		Name:   r.Name,
		Stores: []*containers.Node{Replica(t, e, r.Name, "a", a[0], a[1], a[3]), Replica(t, e, r.Name, "b", b[0], b[2], b[3])},
		Flags:  []string{ByReplica},
	}
}
