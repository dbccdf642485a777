package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/replica"
)

// Engine is an engine with a connection. Ready tells whether it has said what data it has, and is there now; LastError why not, and LastCheck when
// it was last asked, which is zero as long as there is no answer, or error, at all.
type Engine interface {
	remote.RemoteEngine
	io.Closer
	Ready() bool
	LastCheck() time.Time
	LastError() error
}

// Options are those of a Set.
type Options struct {
	// Static are endpoints that are always there.
	Static Config
	// File has further ones, in YAML; "" for none. It is read again every Refresh. What it says of a static one, such as a group, holds. A file that
	// cannot be read or understood, or that says of a static one what it is not, changes nothing, which is logged.
	File string
	// Refresh is the time between two looks at the file and at names; 0 is 30 s.
	Refresh time.Duration
	// Linger is how long a connection stays open that is not wanted any more, for queries that use it; 0 is 2 min.
	Linger time.Duration
	// Dial makes the engine of an endpoint, whose address is not a name to look up any more. It may not wait for the connection.
	Dial func(Endpoint) (Engine, error)
	// Replicas are the options of groups.
	Replicas replica.Options
	// Resolver looks names up; nil is the system's.
	Resolver Resolver
	Logger   *slog.Logger
}

// Set is a remote.RemoteEndpoints. Run keeps it up to date.
type Set struct {
	opts Options

	mu        sync.Mutex
	endpoints []Endpoint          // static ones, and those of the file
	content   []byte              // of the file
	resolved  map[string][]string // by endpoint: what a name was last looked up as
	connected map[string]*connection
	absent    map[string]*absent  // by what could not be looked up, or dialled
	groups    map[string]*grouped // kept, because they know how much more they may ask
	roster    *replica.Roster
	said      announced

	begun chan struct{}
}

// connection is an engine and what the configuration says of it.
type connection struct {
	engine   Engine
	endpoint Endpoint
}

// grouped is a group and who is in it.
type grouped struct {
	name    string
	members []remote.RemoteEngine
	engine  *replica.Group
}

var _ remote.RemoteEndpoints = (*Set)(nil)

// New makes a set with its static endpoints, and those of the file, which must be right to begin with.
func New(opts Options) (*Set, error) {
	if opts.Refresh <= 0 {
		opts.Refresh = 30 * time.Second
	}
	if opts.Linger <= 0 {
		opts.Linger = 2 * time.Minute
	}
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := opts.Static.Validate(); err != nil {
		return nil, err
	}
	s := &Set{opts: opts, endpoints: opts.Static.Endpoints, roster: replica.NewRoster(opts.Replicas), resolved: map[string][]string{}, connected: map[string]*connection{}, absent: map[string]*absent{}, groups: map[string]*grouped{}, begun: make(chan struct{})}
	if opts.File != "" {
		if err := s.readFile(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Begun is closed when Run has looked up all endpoints for the first time; before, there are none.
func (s *Set) Begun() <-chan struct{} { return s.begun }

// Run keeps the set up to date until ctx ends, and closes all connections then. It is called once.
func (s *Set) Run(ctx context.Context) error {
	var lingering sync.WaitGroup
	defer lingering.Wait()
	for first := true; ; first = false {
		s.refresh(ctx, func(e Engine) {
			lingering.Go(func() {
				select {
				case <-time.After(s.opts.Linger):
				case <-ctx.Done():
				}
				s.close(e)
			})
		})
		if first {
			close(s.begun)
		}
		select {
		case <-time.After(s.opts.Refresh):
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, c := range s.connected {
				s.close(c.engine)
			}
			s.connected, s.absent = map[string]*connection{}, map[string]*absent{}
			return nil
		}
	}
}

func (s *Set) close(e Engine) {
	if err := e.Close(); err != nil {
		s.opts.Logger.Warn("Closing the connection to an endpoint failed", "endpoint", e.Name(), "err", err)
	}
}

// refresh looks at the file and at names, connects to what is new and gives drop what is gone.
func (s *Set) refresh(ctx context.Context, drop func(Engine)) {
	if s.opts.File != "" {
		if err := s.readFile(); err != nil {
			s.opts.Logger.Error("Reading the endpoints failed; those known stay", "file", s.opts.File, "err", err)
		}
	}
	s.mu.Lock()
	endpoints := s.endpoints
	s.mu.Unlock()
	wanted := map[string]Endpoint{} // by address
	now := time.Now()
	found := map[string]*absent{}
	for _, e := range endpoints {
		addresses, err := resolve(ctx, s.opts.Resolver, e.Address)
		if err != nil {
			addresses = s.resolved[e.Address]
			if len(addresses) == 0 {
				s.opts.Logger.Error("Looking up an endpoint failed; until it does not, queries fail, or warn of it", "endpoint", e.Address, "err", err)
				found[e.Address] = &absent{endpoint: e, err: fmt.Errorf("its address is not known: %w", err), at: now}
				continue
			}
			s.opts.Logger.Error("Looking up an endpoint failed; its last addresses stay", "endpoint", e.Address, "addresses", len(addresses), "err", err)
		} else {
			s.resolved[e.Address] = addresses
		}
		for _, a := range addresses {
			before, ok := wanted[a]
			if ok && before.Group != "" && e.Group != "" && before.Group != e.Group {
				s.opts.Logger.Error("An address is of two groups; it counts for the first one", "address", a, "endpoint", e.Address, "group", before.Group, "other", e.Group)
			}
			if !ok || before.Group == "" {
				wanted[a] = Endpoint{Address: a, Group: e.Group, ExternalLabels: e.ExternalLabels}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, c := range s.connected {
		if e, ok := wanted[address]; !ok || e.Group != c.endpoint.Group || !maps.Equal(e.ExternalLabels, c.endpoint.ExternalLabels) {
			delete(s.connected, address)
			s.roster.Forget(c.engine)
			drop(c.engine)
		}
	}
	for address, endpoint := range wanted {
		if _, ok := s.connected[address]; ok {
			continue
		}
		e, err := s.opts.Dial(endpoint)
		if err != nil {
			s.opts.Logger.Error("Connecting to an endpoint failed", "endpoint", address, "err", err)
			found[address] = &absent{endpoint: endpoint, err: err, at: now}
			continue
		}
		s.connected[address] = &connection{e, endpoint}
	}
	s.replaceAbsent(found)
}

// replaceAbsent takes those that are absent now. One that was before stays the same engine.
func (s *Set) replaceAbsent(found map[string]*absent) {
	for key, a := range found {
		if before := s.absent[key]; before != nil && before.endpoint.Group == a.endpoint.Group {
			before.note(a.err, a.at)
			found[key] = before
		}
	}
	for key, a := range s.absent {
		if found[key] != a {
			s.roster.Forget(a)
		}
	}
	s.absent = found
}

func (s *Set) readFile() error {
	content, err := os.ReadFile(s.opts.File)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.content != nil && bytes.Equal(content, s.content) {
		return nil
	}
	c, err := Parse(content)
	if err == nil {
		c, err = s.opts.Static.with(c)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.opts.File, err)
	}
	s.endpoints, s.content = c.Endpoints, content
	return nil
}

// Engines implements remote.RemoteEndpoints: those that are ready, and those without an address to connect to, of which queries fail; replicas as
// groups, sorted by name.
func (s *Set) Engines() []remote.RemoteEngine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var (
		ready      []remote.RemoteEngine
		configured = map[string][]remote.RemoteEngine{}
	)
	for _, c := range s.connected {
		switch {
		case !c.engine.Ready():
		case c.endpoint.Group != "":
			configured[c.endpoint.Group] = append(configured[c.endpoint.Group], c.engine)
		default:
			ready = append(ready, c.engine)
		}
	}
	for group, members := range s.absentBy() {
		switch {
		case group == "":
			ready = append(ready, members...)
		case len(configured[group]) == 0: // else others have the same data
			configured[group] = members
		}
	}
	byName := func(a, b remote.RemoteEngine) int { return strings.Compare(a.Name(), b.Name()) }
	slices.SortFunc(ready, byName)
	used := map[string]bool{}
	group := func(key, name string, members []remote.RemoteEngine) remote.RemoteEngine {
		slices.SortFunc(members, byName)
		used[key] = true
		g := s.groups[key]
		if g == nil || g.name != name || !slices.Equal(g.members, members) {
			g = &grouped{name, members, s.roster.Group(name, members)}
			s.groups[key] = g
		}
		return g.engine
	}
	var out []remote.RemoteEngine
	for name, members := range configured {
		out = append(out, group("configured "+name, name, members))
	}
	announced, alone := s.said.of(ready)
	for key, members := range announced {
		name := s.said.names[key]
		if _, ok := configured[name]; ok {
			name += " (announced)"
		}
		out = append(out, group("announced "+key, name, members))
	}
	out = append(out, alone...)
	for key := range s.groups {
		if !used[key] {
			delete(s.groups, key)
		}
	}
	slices.SortFunc(out, byName)
	return out
}

// absentBy are those that are absent, by group.
func (s *Set) absentBy() map[string][]remote.RemoteEngine {
	out := map[string][]remote.RemoteEngine{}
	for _, a := range s.absent {
		out[a.endpoint.Group] = append(out[a.endpoint.Group], a)
	}
	return out
}

// Status is what is known of an endpoint.
type Status struct {
	Address   string // as it is configured if it has none
	Group     string
	Engine    remote.RemoteEngine
	Ready     bool
	LastCheck time.Time // when it was last asked, or looked up in vain
	Err       error     // why it is not ready
}

// Statuses are those of all endpoints, sorted by address.
func (s *Set) Statuses() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for address, c := range s.connected {
		out = append(out, statusOf(address, c.endpoint, c.engine))
	}
	for key, a := range s.absent {
		out = append(out, statusOf(key, a.endpoint, a))
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Address, b.Address) })
	return out
}

func statusOf(address string, of Endpoint, e Engine) Status {
	return Status{address, of.Group, e, e.Ready(), e.LastCheck(), e.LastError()}
}

// NotReady is an error that names the endpoints that are not ready; nil if all are.
func (s *Set) NotReady() error {
	var errs []error
	for _, st := range s.Statuses() {
		if !st.Ready {
			err := st.Err
			if err == nil {
				err = errors.New("it has not answered yet")
			}
			errs = append(errs, fmt.Errorf("endpoint %s is not ready: %w", st.Address, err))
		}
	}
	return errors.Join(errs...)
}
