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
