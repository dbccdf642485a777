package interop

import "testing"

// strideLeaves are Stride nodes on the data directories.
func strideLeaves(t *testing.T, d *dataset) (leaves []string) {
	for i, dir := range d.dirs {
		leaves = append(leaves, stride(t, "--tsdb.path", dir, "--external-label", "region="+regions[i]).grpc)
	}
	return leaves
}

// Thanos' queriers ask Stride nodes for parts of queries.
func TestThanosRoot(t *testing.T) {
	d := generate(t, everything)
	d.answers(t, thanosQuery(t, strideLeaves(t, d), "--query.promql-engine=thanos", "--query.mode=distributed").url, queries())
}

// Thanos' queriers ask Stride nodes for samples.
func TestThanosRootOverSamples(t *testing.T) {
	d := generate(t, steady)
	d.answers(t, thanosQuery(t, strideLeaves(t, d), "--query.promql-engine=prometheus").url, queries())
}

// Stride nodes ask Thanos' queriers, each over a pair of Prometheus servers, for parts of queries.
func TestThanosLeaves(t *testing.T) {
	d := generate(t, steady)
	var queriers []string
	for i, dir := range d.dirs {
		queriers = append(queriers, thanosQuery(t, pair(t, dir, regions[i], "a", "b")).grpc)
	}
	d.answers(t, stride(t, append(endpoints(queriers...), "--query.replica-label=replica")...).url, queries())
}

// Stride nodes ask Thanos' queriers, or the sidecars of pairs of Prometheus servers, for samples.
func TestThanosSamples(t *testing.T) {
	d := generate(t, everything)
	var queriers, sidecars []string
	for i, dir := range d.dirs {
		of := pair(t, dir, regions[i], "a", "b")
		sidecars = append(sidecars, of...)
		queriers = append(queriers, thanosQuery(t, of).grpc)
	}
	t.Run("queriers", func(t *testing.T) {
		d.answers(t, stride(t, append(endpoints(queriers...), "--query.replica-label=replica", "--query.mode=local")...).url, queries())
	})
	t.Run("sidecars", func(t *testing.T) {
		d.answers(t, stride(t, append(endpoints(sidecars...), "--query.replica-label=replica")...).url, queries())
	})
}

// A Stride node asks a Stride node and a sidecar.
func TestMixedLeaves(t *testing.T) {
	d := generate(t, everything)
	own := strideLeaves(t, d)[:1]
	theirs := pair(t, d.dirs[1], regions[1], "a")
	d.answers(t, stride(t, append(endpoints(append(own, theirs...)...), "--query.replica-label=replica")...).url, queries())
}
