package logicalplan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
)

// PlanVersion is the version of the codec. It rises with every change; nodes record in which version they changed last
// (nodeVersions), so that what did not change is still understood by older engines.
const PlanVersion = 1 - older

// FragmentOptions are what an engine that evaluates a fragment has to know of the one that sends it.
type FragmentOptions struct {
	DelayedNameRemoval bool `json:"delayed_name_removal,omitempty"`
	TypeAndUnitLabels  bool `json:"type_and_unit_labels,omitempty"`
	UseStartTimestamps bool `json:"use_start_timestamps,omitempty"`
	PerStepStats       bool `json:"per_step_stats,omitempty"`
}

// Fragment is a part of a query as it crosses the network: a plan, and the steps of it that are asked for.
type Fragment struct {
	Plan    *Plan
	Steps   StepRange
	Options FragmentOptions
}

// wireFragment is a Fragment as JSON.
type wireFragment struct {
	Version  int             `json:"version"`
	Start    int64           `json:"start"`
	End      int64           `json:"end"`
	Interval int64           `json:"interval"`
	Lookback int64           `json:"lookback"`
	From     int             `json:"from"`
	To       int             `json:"to"`
	Options  FragmentOptions `json:"options"`
	Root     json.RawMessage `json:"root"`
}

// Encode gives the fragment as bytes, and the version of the codec that it takes to read them.
func (f *Fragment) Encode() (version int, encoded []byte, err error) {
	root, version, err := encodeTree(f.Plan.Root)
	if err != nil {
		return 0, nil, err
	}
	return f.encode(root, version)
}

func (f *Fragment) encode(root []byte, version int) (int, []byte, error) {
	p := f.Plan
	encoded, err := json.Marshal(wireFragment{version, p.Start, p.End, p.Interval, p.Lookback, f.Steps.From, f.Steps.To, f.Options, root})
	return version, encoded, err
}

// encodeTree encodes a node with all below it.
func encodeTree(n Node) (encoded []byte, version int, err error) {
	w, version, err := toWire(n)
	if err != nil {
		return nil, 0, err
	}
	encoded, err = json.Marshal(w)
	return encoded, version, err
}

// maxDecodedSteps bounds the steps of a fragment: more would not fit into memory.
const maxDecodedSteps = 1 << 24

// DecodeFragment reads what Encode has written. Whatever in it is not understood is an error.
func DecodeFragment(encoded []byte) (*Fragment, error) {
	var w wireFragment
	if err := unmarshal(encoded, &w); err != nil {
		return nil, fmt.Errorf("decoding a plan: %w", err)
	}
	times := Times{w.Start, w.End, w.Interval}
	switch {
	case w.Version > PlanVersion:
		return nil, fmt.Errorf("decoding a plan: it has version %d, the newest one known here is %d", w.Version, PlanVersion)
	case w.Interval < 1 || w.Lookback < 0 || w.End < w.Start:
		return nil, errors.New("decoding a plan: its times make no sense")
	case uint64(w.End-w.Start)/uint64(w.Interval) >= maxDecodedSteps:
		return nil, fmt.Errorf("decoding a plan: it has more than %d steps", maxDecodedSteps)
	case w.From < 0 || w.From > w.To || w.To > times.steps():
		return nil, errors.New("decoding a plan: the steps asked for are not among its steps")
	}
	if err := checkDecodedDepth(w.Root); err != nil {
		return nil, err
	}
	var root wireNode
	if err := unmarshal(w.Root, &root); err != nil {
		return nil, fmt.Errorf("decoding a plan: %w", err)
	}
	n, err := fromWire(&root)
	if err != nil {
		return nil, fmt.Errorf("decoding a plan: %w", err)
	}
	return &Fragment{
		Plan:    &Plan{Root: n, Times: times, Lookback: w.Lookback},
		Steps:   StepRange{w.From, w.To},
		Options: w.Options,
	}, nil
}

// checkDecodedDepth refuses what is nested so deeply that reading it would need too much stack.
func checkDecodedDepth(encoded []byte) error {
	depth := 0
	inString, escaped := false, false
	for _, c := range encoded {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > 2*DefaultMaxDepth {
				return fmt.Errorf("decoding a plan: it is nested more than %d deep", DefaultMaxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// unmarshal reads JSON in which there is nothing that v has no place for.
func unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows it")
	}
	return nil
}

// wireText is a string that need not be UTF-8, which JSON cannot express.
type wireText string

// MarshalJSON writes a string or, for what is not UTF-8, the bytes in base 64 in an object.
func (t wireText) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(map[string][]byte{"bytes": []byte(t)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *wireText) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var b struct {
			Bytes []byte `json:"bytes"`
		}
		err := unmarshal(data, &b)
		*t = wireText(b.Bytes)
		return err
	}
	return json.Unmarshal(data, (*string)(t))
}

// wireFloat is a float that may be infinite or a NaN of any kind, which JSON cannot express.
type wireFloat float64

// MarshalJSON writes the shortest number that reads back the same or, for what is no number, its bits.
func (f wireFloat) MarshalJSON() ([]byte, error) {
	v := float64(f)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return json.Marshal(strconv.FormatUint(math.Float64bits(v), 16))
	}
	return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *wireFloat) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		bits, err := strconv.ParseUint(s, 16, 64)
		*f = wireFloat(math.Float64frombits(bits))
		return err
	}
	v, err := strconv.ParseFloat(string(data), 64)
	*f = wireFloat(v)
	return err
}

// wireMatcher is a matcher.
type wireMatcher struct {
	Type  string   `json:"type"`
	Name  wireText `json:"name"`
	Value wireText `json:"value"`
}

func matchersToWire(ms []*labels.Matcher) []wireMatcher {
	out := make([]wireMatcher, len(ms))
	for i, m := range ms {
		out[i] = wireMatcher{m.Type.String(), wireText(m.Name), wireText(m.Value)}
	}
	return out
}

func matchersFromWire(ws []wireMatcher) ([]*labels.Matcher, error) {
	out := make([]*labels.Matcher, len(ws))
	for i, w := range ws {
		t := labels.MatchEqual
		for t.String() != w.Type {
			if t++; t > labels.MatchNotRegexp {
				return nil, fmt.Errorf("a matcher has the unknown type %q", w.Type)
			}
		}
		var err error
		if out[i], err = labels.NewMatcher(t, string(w.Name), string(w.Value)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
