package interop

import "testing"

// strideLeaves are Stride nodes on the data directories.
func strideLeaves(t *testing.T, d *dataset) (leaves []string) {
	for i, dir := range d.dirs {
		leaves = append(leaves, stride(t, "--tsdb.path", dir, "--external-label", "region="+regions[i]).grpc)
	}
	return leaves
}

// Thanos' queriers ask Stride nodes: for parts of queries, and for samples.
func TestThanosRoot(t *testing.T) {
	d := generate(t)
	leaves := strideLeaves(t, d)
	t.Run("distributed", func(t *testing.T) {
		d.answers(t, thanosQuery(t, leaves, "--query.promql-engine=thanos", "--query.mode=distributed").url, queries())
	})
	t.Run("samples", func(t *testing.T) {
		d.answers(t, thanosQuery(t, leaves, "--query.promql-engine=prometheus").url, queries())
	})
}

// Stride nodes ask Thanos' queriers for parts of queries, or for samples; or Prometheus' sidecars, replicas among them, for samples.
func TestThanosLeaves(t *testing.T) {
	d := generate(t)
	var queriers, sidecars []string
	for i, dir := range d.dirs {
		of := pair(t, dir, regions[i], "a", "b")
		sidecars = append(sidecars, of...)
		queriers = append(queriers, thanosQuery(t, of).grpc)
	}
	t.Run("distributed", func(t *testing.T) {
		d.answers(t, stride(t, append(endpoints(queriers...), "--query.replica-label=replica")...).url, queries())
	})
	t.Run("samples", func(t *testing.T) {
		d.answers(t, stride(t, append(endpoints(queriers...), "--query.replica-label=replica", "--query.mode=local")...).url, queries())
	})
	t.Run("sidecars", func(t *testing.T) {
		d.answers(t, stride(t, append(endpoints(sidecars...), "--query.replica-label=replica")...).url, queries())
	})
}

// All of them at once: a Stride root over a Stride node, a Thanos querier and a sidecar.
func TestMixedLeaves(t *testing.T) {
	d := generate(t)
	own := strideLeaves(t, d)[:1]
	theirs := pair(t, d.dirs[1], regions[1], "a")
	d.answers(t, stride(t, append(endpoints(append(own, theirs...)...), "--query.replica-label=replica")...).url, queries())
}
