package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stride-promql/stride/engine"
)

// operatorNode is an operator with those that it gets its input from. The names of its fields, and what Thanos has of them, are
// those of Thanos, which user interfaces and query frontends know.
type operatorNode struct {
	Name string `json:"name"`
	*operatorStats
	// Remote is what another node says that it did for a part of the query, a line an operator.
	Remote   []string        `json:"remote,omitempty"`
	Children []*operatorNode `json:"children,omitempty"`
}

// operatorStats is what an operator did.
type operatorStats struct {
	ExecutionTime string `json:"executionTime"` // of it and of its children, over all workers
	TotalSamples  int64  `json:"totalSamples"`  // that it put out
	Series        int    `json:"series"`
	PeakBytes     int64  `json:"peakBytes"`
}

func (a *API) queryExplain(r *http.Request) answer {
	q, err := a.instantRequest(r)
	if err != nil {
		return answer{err: err}
	}
	return a.explain(r, q)
}

func (a *API) queryRangeExplain(r *http.Request) answer {
	q, err := a.rangeRequest(r)
	if err != nil {
		return answer{err: err}
	}
	return a.explain(r, q)
}

// explain makes a query and shows how it would be evaluated.
func (a *API) explain(r *http.Request, q *request) answer {
	query, apiErr := a.newQuery(r.Context(), q)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	defer query.Close()
	x, ok := query.(engine.ExplainableQuery)
	if !ok {
		return answer{err: badData(errors.New("the engine that evaluates the query cannot explain it"))}
	}
	tree, err := operatorTree(x.Explain())
	if err != nil {
		return answer{err: &apiError{errorExec, err}}
	}
	return answer{data: tree}
}

// analysisOf shows how a query was evaluated.
func analysisOf(x engine.ExplainableQuery) (*operatorNode, error) {
	return operatorTree(x.Analyze())
}

// explained are the parts of an explanation that a tree is made of.
type explained struct {
	Error     string `json:"error"`
	Pipelines []struct {
		Operators []struct {
			ID       int    `json:"id"`
			Depth    int    `json:"depth"`
			Input    int    `json:"input"`
			Name     string `json:"name"`
			Remote   string `json:"remote"`
			Measured *struct {
				Total     time.Duration `json:"totalNanoseconds"`
				Series    int           `json:"series"`
				Samples   int64         `json:"samples"`
				PeakBytes int64         `json:"peakBytes"`
			} `json:"measured"`
		} `json:"operators"`
	} `json:"pipelines"`
}

// operatorTree makes a tree of an explanation, in which pipelines say what flows from where to where. What flows to several
// operators stands below each of them.
func operatorTree(from json.Marshaler) (*operatorNode, error) {
	text, err := from.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var e explained
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	if e.Error != "" {
		return nil, errors.New(e.Error)
	}
	var (
		nodes  = map[int]*operatorNode{}
		inputs = map[int]map[int]*operatorNode{} // of a node, by number
		feeds  = map[int]bool{}
		order  []int
	)
	for _, p := range e.Pipelines {
		var above []int // the last operator of each depth
		for _, o := range p.Operators {
			if nodes[o.ID] == nil {
				nodes[o.ID] = &operatorNode{Name: o.Name}
				inputs[o.ID] = map[int]*operatorNode{}
				order = append(order, o.ID)
			}
			if m := o.Measured; m != nil {
				nodes[o.ID].operatorStats = &operatorStats{m.Total.String(), m.Samples, m.Series, m.PeakBytes}
			}
			if o.Remote != "" {
				nodes[o.ID].Remote = strings.Split(strings.TrimRight(o.Remote, "\n"), "\n")
			}
			if o.Depth > len(above) {
				return nil, fmt.Errorf("operator %q has no input", o.Name)
			}
			if o.Depth > 0 {
				source := above[o.Depth-1]
				inputs[o.ID][o.Input] = nodes[source]
				feeds[source] = true
			}
			above = append(above[:o.Depth], o.ID)
		}
	}
	var root *operatorNode
	for _, id := range order {
		for i := 0; len(nodes[id].Children) < len(inputs[id]); i++ {
			if n := inputs[id][i]; n != nil {
				nodes[id].Children = append(nodes[id].Children, n)
			}
		}
		if !feeds[id] {
			root = nodes[id] // The last one: pipelines come in the order in which they run.
		}
	}
	if root == nil {
		return nil, errors.New("the query has no operators")
	}
	return root, nil
}
