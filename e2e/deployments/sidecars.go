package deployments

import (
	"strings"
	"testing"
	"time"

	"github.com/stride-promql/stride/e2e/containers"
)

// Upload puts the blocks of all regions into one bucket.
func Upload(t testing.TB, e *containers.Environment, all []Region) (bucket string) {
	t.Helper()
	bucket = e.Bucket("bucket")
	for _, r := range all {
		e.Upload(bucket, r.Dir, map[string]string{"region": r.Name})
	}
	return bucket
}

// SidecarsByTime are leaves beside store gateways on one bucket that have a part of the time each, as long before the end as is given, with an hour
// that both of two neighbours have.
//
//	bucket - store gateway until T+1h - leaf old \
//	                                              root
//	bucket - store gateway from T     - leaf new /
func SidecarsByTime(t testing.TB, e *containers.Environment, all []Region, before ...time.Duration) (leaves []Leaf) {
	t.Helper()
	bucket := Upload(t, e, all)
	from := time.Unix(0, 0)
	for i := range len(before) + 1 {
		to := End.Add(24 * time.Hour)
		if i < len(before) {
			to = End.Add(-before[i] + time.Hour)
		}
		name := "part" + string(rune('0'+i))
		gateway := e.StoreGateway("gateway-"+name, bucket, "--min-time="+from.UTC().Format(time.RFC3339), "--max-time="+to.UTC().Format(time.RFC3339))
		leaves = append(leaves, Leaf{Name: name, Stores: []*containers.Node{gateway}})
		from = to.Add(-time.Hour)
	}
	return leaves
}

// SidecarsByLabel are leaves beside store gateways on one bucket that have the first region, and all others.
func SidecarsByLabel(t testing.TB, e *containers.Environment, all []Region) (leaves []Leaf) {
	t.Helper()
	bucket := Upload(t, e, all)
	var others []string
	for _, r := range all[1:] {
		others = append(others, r.Name)
	}
	for i, regions := range []string{all[0].Name, strings.Join(others, "|")} {
		name := []string{"first", "others"}[i]
		gateway := e.StoreGateway("gateway-"+name, bucket, "--selector.relabel-config=[{action: keep, source_labels: [region], regex: "+regions+"}]")
		leaves = append(leaves, Leaf{Name: name, Stores: []*containers.Node{gateway}})
	}
	return leaves
}

// BlockDirectories are leaves that read directories of blocks themselves.
func BlockDirectories(all []Region) (leaves []Leaf) {
	for _, r := range all {
		leaves = append(leaves, Leaf{Name: r.Name, Blocks: r.Dir, Region: r.Name})
	}
	return leaves
}
