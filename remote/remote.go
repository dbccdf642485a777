// Package remote holds what both sides of a distributed query share: how an engine that holds other data looks to the one that
// plans a query, the coverage of its data, and the columns that it answers with. It knows nothing of plans or of networks.
package remote

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// RemoteEndpoints are the engines that hold the data. Engines is called once for each query, so that membership may change between
// queries; what it returns must not be changed afterwards.
type RemoteEndpoints interface {
	Engines() []RemoteEngine
}

// RemoteEngine evaluates parts of queries next to data that it alone, or together with others, holds. All methods may be
// called concurrently. Labels, Coverage and Capabilities answer at once, from memory; what they return must not be written to.
type RemoteEngine interface {
	// Name tells the engine from others, in plans, errors and warnings.
	Name() string
	// Labels are the partition label names: the external labels that tell data sets apart, replica labels
	// not among them.
	Labels() []string
	// Coverage lists external label sets, without replica labels, and when the engine has data of each.
	Coverage() []Coverage
	// Capabilities say what the engine understands.
	Capabilities() Capabilities
	// NewInstantQuery prepares q for evaluation at ts; nothing is sent before it is executed or streamed.
	NewInstantQuery(ctx context.Context, opts promql.QueryOpts, q RemoteQuery, ts time.Time) (promql.Query, error)
	// NewRangeQuery prepares q for evaluation at start and every interval after it, up to end.
	NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error)
}

// RemoteQuery is a query, or a part of one, that is sent to another engine.
type RemoteQuery interface {
	// String is complete PromQL with all times resolved.
	String() string
	// Plan is the same as a logical plan, for engines whose PlanVersion is at least version. Only the plan says that it is a
	// part of a query, whose result keeps DropName for each series, and where in the query's text annotations point to.
	Plan() (version int, encoded []byte)
}

// Streamer is implemented by a promql.Query of a RemoteEngine that can hand out its result column by column. It takes the place
// of Exec; one of the two is called, once.
type Streamer interface {
	// Stream starts the query. Errors of the query may come from here or from the stream.
	Stream(ctx context.Context) (ColumnStream, error)
}

// ColumnStream is a result that is being received. It is used by one goroutine.
type ColumnStream interface {
	// Next gives the next columns, which belong to the caller, or io.EOF behind the last ones. Any other error ends the stream.
	Next(ctx context.Context) (*Columns, error)
	// Trailer is what came behind the last columns. It is valid once Next has returned io.EOF.
	Trailer() Trailer
	// Close ends the query if it still runs, and gives back what it holds. It may be called more than once.
	Close() error
}

// Selector is implemented by a RemoteEngine that also gives the samples themselves, for what cannot be
// evaluated at it. Series carry the external labels.
type Selector interface {
	storage.Queryable
}

// Capabilities say what an engine understands and what it is.
type Capabilities struct {
	// LanguageLevel is the version of Prometheus whose language the engine speaks, as in "3.16". Parts of queries that need more
	// stay at the root.
	LanguageLevel string
	// PlanVersion is the newest version of the plan codec that the engine decodes; 0: it evaluates text only.
	PlanVersion int
	// LabelHash names how the engine hashes labels, on which limit_ratio depends; "" is unknown.
	LabelHash string
	// WholeSeconds says that times reach the engine in whole seconds only.
	WholeSeconds bool
	// SamplesOnly says that the engine is a Selector that evaluates nothing. Queries for it fail: who has one makes an engine over it.
	SamplesOnly bool
	// Unheard says that the engine has not said yet what it is, nor what data it has. Queries are planned as if it were not there, and fail, or
	// warn, because it may have data of any labels and times.
	Unheard bool
	// GroupID and PeerType say which engines hold the same data: those of PeerStore or PeerQuery with equal external labels
	// and an equal GroupID, which is not empty.
	GroupID  string
	PeerType PeerType
}

// LabelHash is the name of how labels are hashed in this build: it depends on how Prometheus' labels package is built.
const LabelHash = labels.ImplementationName

// PeerType is what kind of data an endpoint has.
type PeerType int

const (
	// PeerSource has data that nobody else has, such as a replica of a scraper: all sources are asked.
	PeerSource PeerType = iota
	// PeerStore has data that others of its group have, too: one of them is asked.
	PeerStore
	// PeerQuery is a node that asks others, and is like the others of its group.
	PeerQuery
)

// String is the type's name on the wire and in flags.
func (t PeerType) String() string {
	switch t {
	case PeerStore:
		return "store"
	case PeerQuery:
		return "query"
	}
	return "source"
}
