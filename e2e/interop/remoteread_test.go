package interop

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/observe"
)

// Stride nodes read pairs of plain Prometheus servers, whose external labels come before and behind others, by remote read.
func TestRemoteRead(t *testing.T) {
	d := generate(t, everything)
	var servers []string
	for i, dir := range d.dirs {
		for _, replica := range []string{"a", "b"} {
			p, _ := prometheusServer(t, dir, map[string]string{"region": regions[i], "a_replica": replica})
			servers = append(servers, "--remote-read.url="+p.url)
		}
	}
	for name, args := range map[string][]string{"distributed": nil, "local": {"--query.mode=local"}} {
		t.Run(name, func(t *testing.T) {
			d.answers(t, stride(t, append(append(args, servers...), "--query.replica-label=a_replica")...).url, queries())
		})
	}

	node := stride(t, append(servers, "--query.replica-label=a_replica")...)
	ask := func(path string) string {
		body, err := observe.Get(t.Context(), node.url+path)
		require.NoError(t, err)
		return body
	}
	require.Equal(t, `{"status":"success","data":["eu","us"]}`, ask("/api/v1/label/region/values"))
	require.Equal(t, `{"status":"success","data":["us"]}`, ask(`/api/v1/label/region/values?match[]={region=~"u.",job!=""}`))
	require.Contains(t, ask("/api/v1/labels"), `"region"`)
	require.NotContains(t, ask("/api/v1/labels"), `"a_replica"`)
	require.Contains(t, ask(`/api/v1/series?match[]=up{region="eu"}`), `"region":"eu"`)
	require.NotContains(t, ask(`/api/v1/series?match[]=up{region="eu"}`), `"region":"us"`)
	require.Contains(t, ask("/api/v1/stores"), `"prometheus":[`)
}

// Selectors of external labels alone, which stores of Thanos refuse as they are.
func TestSelectorsOfExternalLabels(t *testing.T) {
	d := generate(t, everything)
	d.answers(t, stride(t, append(endpoints(append(pair(t, d.dirs[0], regions[0], "a"), pair(t, d.dirs[1], regions[1], "a")...)...), "--query.replica-label=replica")...).url,
		[]string{`count({region="eu"})`, `count by (region) ({region=~"e.|u."})`})
}
