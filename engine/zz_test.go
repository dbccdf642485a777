package engine_test
import ("testing";"fmt";"math"
"github.com/prometheus/prometheus/promql"
"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks")
func TestZZ(t *testing.T) {
	for _, start := range []int64{1<<50, math.MaxInt64/2} {
			samples := make([]chunks.Sample, 80)
			for i := range samples {
				samples[i] = floatSample{start + int64(i)*15_000, float64(i)}
			}
			l := labels.FromStrings("__name__", "m_total")
	st := listed{storage.NewListSeries(l, samples)}
	o := ask(t, promql.NewEngine(storageOpts()), st, "m_total", instantAt(start+1000)); fmt.Println(ask(t, promql.NewEngine(storageOpts()), st, "time()", instantAt(start+1000)).Value, ask(t, promql.NewEngine(storageOpts()), st, "m_total[1m]", instantAt(start+1000)).Value)
	fmt.Println(o.Err, o.Value, o.Panic)
	o = ask(t, promql.NewEngine(storageOpts()), st, "m_total", rangeOf(start, start+60000,1000))
	fmt.Println(o.Err, o.Value, o.Panic)
	}
}
