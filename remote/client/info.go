package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// Status is how it goes with asking a node for its Info.
type Status struct {
	// Component is what the node calls itself; "" before its first answer.
	Component string
	// LastCheck is when the node was last asked, and LastError why that failed, or nil. The error does not name the node.
	LastCheck time.Time
	LastError error
}

// Status tells how it went last.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// LastError is why the node was last asked in vain; nil if it answered. It does not name the node.
func (c *Client) LastError() error { return c.Status().LastError }

// unknown is why the node cannot be asked as long as it has not said anything.
func (c *Client) unknown() error {
	err := c.Status().LastError
	if err == nil {
		err = errors.New("its first answer came just now; ask again")
	}
	return fmt.Errorf("it cannot be asked, because it has not said what it is: %w", err)
}

// api is how a node is asked.
type api int

const (
	none api = iota
	stride
	thanos
)

// announcement is what a node has said of itself.
type announcement struct {
	labels       []string
	whole        []remote.Coverage // replica labels included; nil: nothing was said. The same as coverage if there are none
	coverage     []remote.Coverage
	index        map[string]int // labels -> coverage
	capabilities remote.Capabilities
	queries      api
	selects      api
	component    string
	sum          [sha256.Size]byte // of the message
}

// thanosLevel is the language of Thanos v0.42. Nodes do not tell; those of v0.40 and v0.41 refuse what they do not know.
const thanosLevel = "3.9"

// silence stands for what a node says that has not said anything.
func silence() *announcement {
	coverage, capabilities := remote.Unknown()
	return &announcement{coverage: coverage, capabilities: capabilities}
}

// poll asks again and again.
func (c *Client) poll(ctx context.Context) {
	defer close(c.closed)
	ticker := time.NewTicker(c.opts.InfoInterval)
	defer ticker.Stop()
	for {
		_ = c.Refresh(ctx) // the status has the error
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Refresh asks the node now what it has. After an error, what it said before holds.
func (c *Client) Refresh(ctx context.Context) error {
	c.polling.Lock()
	defer c.polling.Unlock()
	began := time.Now()
	said, err := c.ask(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.LastCheck, c.status.LastError = began, err
	if err == nil {
		c.said.Store(said)
		c.status.Component = said.component
		return nil
	}
	if open := c.said.Load().growing(); open != nil {
		c.said.Store(open)
	}
	return c.error(err)
}

// fresh is how new samples are of data that grows: much newer than the times between two looks of a node at its data (1 min by default), and
// between two questions, through several nodes one over the other.
const fresh = 10 * time.Minute

// grows tells whether data up to end, of which a node says so now, may soon be more.
func grows(end int64, now time.Time) bool {
	return end != math.MaxInt64 && end >= now.Add(-fresh).UnixMilli()
}

// stale tells whether some data has not grown for so long that it is not taken to do so any more.
func (a *announcement) stale(now time.Time) bool {
	return slices.ContainsFunc(a.whole, func(c remote.Coverage) bool { return c.Grows && !grows(c.Intervals.End(), now) })
}

// growing is what a node that does not answer any more may have by now: data that grew when it said so has no end. Otherwise the node
// would be taken to have nothing of the time since, and queries would go without it. nil: the same as before.
func (a *announcement) growing() *announcement {
	if !slices.ContainsFunc(a.coverage, func(c remote.Coverage) bool { return c.Grows }) {
		return nil
	}
	grown := func(in []remote.Coverage) []remote.Coverage {
		out := slices.Clone(in)
		for i, c := range out {
			if c.Grows {
				last := remote.Interval{Start: c.Intervals.End(), End: math.MaxInt64}
				out[i].Intervals, out[i].Grows = c.Intervals.Union(remote.Intervals{last}), false
			}
		}
		return out
	}
	out := *a
	out.sum = [sha256.Size]byte{} // what comes next is another one
	out.coverage = grown(a.coverage)
	if out.whole = out.coverage; !a.plain() {
		out.whole = grown(a.whole)
	}
	return &out
}

func (c *Client) ask(ctx context.Context) (*announcement, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.InfoTimeout)
	defer cancel()
	res, err := c.info.Info(ctx, &thanospb.InfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return nil, plain(err)
	}
	return c.understand(res)
}

// understand makes an announcement of what the node says. Who plans queries works on the same slices again as long as they are the same, and
// there may be a million label sets.
func (c *Client) understand(res *thanospb.InfoResponse) (*announcement, error) {
	before := c.said.Load()
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(res)
	if err != nil {
		return nil, err
	}
	sum, now := sha256.Sum256(encoded), time.Now()
	if sum == before.sum && !before.stale(now) {
		return before, nil
	}
	said, err := c.read(res, now)
	if err != nil {
		return nil, fmt.Errorf("what it says of its data makes no sense: %w", err)
	}
	said.sum = sum
	if said.same(before) {
		plain := said.plain()
		said.labels, said.coverage, said.index = before.labels, before.coverage, before.index
		if plain && before.plain() {
			said.whole = before.whole
		}
	}
	return said, nil
}

// read puts what a node says now into the form in which it is used. Label sets that differ only in replica labels become one.
func (c *Client) read(res *thanospb.InfoResponse, now time.Time) (*announcement, error) {
	a := &announcement{component: res.ComponentType}
	read := labels.NewScratchBuilder(16)
	whole := coverages{index: map[string]int{}}
	add := func(set []byte, intervals remote.Intervals) error {
		l, err := wire.ReadThanosLabels(set, &read)
		if err == nil && len(intervals) > 0 {
			whole.add(remote.Coverage{Labels: l, Intervals: intervals, Grows: grows(intervals.End(), now)})
		}
		return err
	}
	infos := res.GetStore().GetTsdbInfos()
	for _, i := range infos {
		times := remote.Union(between(res, i.MinTime, i.MaxTime))
		if len(i.Intervals) > 0 {
			times = union(i.Intervals)
		}
		// Store gateways that give a part of the time only say of which blocks it is in the infos, and which part in the store's own times.
		if s := res.Store; s.MinTime != 0 || s.MaxTime != 0 {
			times = times.Within(between(res, s.MinTime, s.MaxTime))
		}
		if err := add(i.Labels, times); err != nil {
			return nil, err
		}
	}
	if len(infos) == 0 {
		// Old nodes, and those over data without external labels, say no more than this.
		times := remote.Intervals{remote.Always}
		if s := res.Store; s != nil {
			times = remote.Union(between(res, s.MinTime, s.MaxTime))
		}
		sets := res.LabelSets
		if len(sets) == 0 {
			sets = [][]byte{nil}
		}
		for _, set := range sets {
			if err := add(set, times); err != nil {
				return nil, err
			}
		}
	}
	stripped := whole.without(c.opts.ReplicaLabels)
	a.whole, a.coverage, a.index = whole.list, stripped.list, stripped.index
	if a.whole == nil {
		a.whole = []remote.Coverage{} // it has said that there is nothing
	}
	a.labels = names(a.coverage)
	return a, c.readAPIs(a, res)
}

// coverages are one for each label set.
type coverages struct {
	list  []remote.Coverage
	index map[string]int // labels -> list
	buf   []byte
}

func (cs *coverages) add(c remote.Coverage) {
	cs.buf = c.Labels.Bytes(cs.buf[:0])
	i, ok := cs.index[string(cs.buf)]
	if !ok {
		cs.index[string(cs.buf)] = len(cs.list)
		cs.list = append(cs.list, c)
		return
	}
	if have := &cs.list[i]; !slices.Equal(have.Intervals, c.Intervals) {
		have.Add(c)
	}
}

// without are those of label sets without some labels; the same if no set has them.
func (cs *coverages) without(names []string) *coverages {
	if !slices.ContainsFunc(cs.list, func(c remote.Coverage) bool { return slices.ContainsFunc(names, c.Labels.Has) }) {
		return cs
	}
	out := &coverages{index: map[string]int{}}
	b := labels.NewBuilder(labels.EmptyLabels())
	for _, c := range cs.list {
		b.Reset(c.Labels)
		c.Labels = b.Del(names...).Labels()
		out.add(c)
	}
	return out
}

// plain tells whether there are no replica labels.
func (a *announcement) plain() bool {
	return len(a.coverage) > 0 && len(a.whole) > 0 && &a.whole[0] == &a.coverage[0]
}

// between is the interval that a node announces by its first and last time. Thanos' last times are those of blocks, which have nothing at that
// time itself, unless there is no last time.
func between(res *thanospb.InfoResponse, first, last int64) remote.Interval {
	if res.Stride == nil && last != math.MaxInt64 && last != math.MinInt64 {
		last--
	}
	return remote.Interval{Start: first, End: last}
}

func union(in []*thanospb.Interval) remote.Intervals {
	all := make([]remote.Interval, len(in))
	for k, i := range in {
		all[k] = remote.Interval{Start: i.GetStart(), End: i.GetEnd()}
	}
	return remote.Union(all...)
}

// names are the names of all labels, sorted.
func names(coverage []remote.Coverage) []string {
	set := map[string]struct{}{}
	for _, c := range coverage {
		c.Labels.Range(func(l labels.Label) { set[l.Name] = struct{}{} })
	}
	return slices.Sorted(maps.Keys(set))
}

// readAPIs finds out how the node is to be asked.
func (c *Client) readAPIs(a *announcement, res *thanospb.InfoResponse) error {
	a.capabilities.GroupID = res.StoreGroupId
	switch res.PeerType {
	case thanospb.PeerType_PEER_STORE:
		a.capabilities.PeerType = remote.PeerStore
	case thanospb.PeerType_PEER_QUERY:
		a.capabilities.PeerType = remote.PeerQuery
	}
	if c.opts.GroupID != "" {
		a.capabilities.GroupID, a.capabilities.PeerType = c.opts.GroupID, c.opts.PeerType
	}
	switch s := res.Stride; {
	case s != nil:
		if s.PlanVersion < 0 {
			return fmt.Errorf("plan version %d", s.PlanVersion)
		}
		a.capabilities.LanguageLevel, a.capabilities.PlanVersion, a.capabilities.LabelHash = s.LanguageLevel, int(s.PlanVersion), s.LabelHash
		a.queries = stride
		if s.Selects {
			a.selects = stride
		}
	case res.Query != nil && res.Status != nil:
		a.capabilities.LanguageLevel, a.capabilities.WholeSeconds = thanosLevel, true
		a.queries = thanos
		if res.Store != nil {
			a.selects = thanos
		}
	case res.Store != nil: // stores, and queriers of before v0.40: those of before v0.38 take samples into windows that Prometheus 3 leaves out
		a.capabilities.SamplesOnly = true
		a.selects = thanos
	case res.Query != nil:
		return errors.New("it is a Thanos querier of before v0.40, which is asked for samples only, and it gives none")
	default:
		return errors.New("it neither evaluates queries nor gives samples")
	}
	return nil
}

// same tells whether the node has the same data as before, in whatever order it says so.
func (a *announcement) same(before *announcement) bool {
	if len(a.coverage) != len(before.coverage) || before.index == nil {
		return false
	}
	for key, i := range a.index {
		k, ok := before.index[key]
		if !ok || a.coverage[i].Grows != before.coverage[k].Grows || !slices.Equal(a.coverage[i].Intervals, before.coverage[k].Intervals) {
			return false
		}
	}
	return true
}
