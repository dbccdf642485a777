package client

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// decodeValue reads a result of a type.
func decodeValue(typ parser.ValueType, text []byte) (parser.Value, error) {
	switch typ {
	case parser.ValueTypeScalar:
		var p pair
		if err := json.Unmarshal(text, &p); err != nil {
			return nil, err
		}
		v, err := p.float()
		return promql.Scalar{T: int64(p.at), V: v}, err
	case parser.ValueTypeString:
		var p pair
		if err := json.Unmarshal(text, &p); err != nil {
			return nil, err
		}
		s := promql.String{T: int64(p.at)}
		err := json.Unmarshal(p.value, &s.V)
		return s, err
	case parser.ValueTypeVector:
		return decodeVector(text)
	case parser.ValueTypeMatrix:
		return decodeMatrix(text)
	}
	return nil, fmt.Errorf("unknown type of result %q", typ)
}

// seriesJSON is a series or a sample.
type seriesJSON struct {
	Metric     map[string]string `json:"metric"`
	Value      *pair             `json:"value"`
	Histogram  *pair             `json:"histogram"`
	Values     []pair            `json:"values"`
	Histograms []pair            `json:"histograms"`
}

func decodeVector(text []byte) (promql.Vector, error) {
	var list []seriesJSON
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	v := make(promql.Vector, 0, len(list))
	for _, s := range list {
		sample := promql.Sample{Metric: labels.FromMap(s.Metric)}
		var err error
		switch {
		case s.Value != nil:
			sample.T = int64(s.Value.at)
			sample.F, err = s.Value.float()
		case s.Histogram != nil:
			sample.T = int64(s.Histogram.at)
			sample.H, err = s.Histogram.histogram()
		default:
			err = fmt.Errorf("sample %s has no value", sample.Metric)
		}
		if err != nil {
			return nil, err
		}
		v = append(v, sample)
	}
	return v, nil
}

func decodeMatrix(text []byte) (promql.Matrix, error) {
	var list []seriesJSON
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	m := make(promql.Matrix, 0, len(list))
	for _, s := range list {
		series := promql.Series{Metric: labels.FromMap(s.Metric)}
		for _, p := range s.Values {
			f, err := p.float()
			if err != nil {
				return nil, err
			}
			series.Floats = append(series.Floats, promql.FPoint{T: int64(p.at), F: f})
		}
		for _, p := range s.Histograms {
			h, err := p.histogram()
			if err != nil {
				return nil, err
			}
			series.Histograms = append(series.Histograms, promql.HPoint{T: int64(p.at), H: h})
		}
		m = append(m, series)
	}
	return m, nil
}

// pair is a time and what there is at it.
type pair struct {
	at    milliseconds
	value json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *pair) UnmarshalJSON(b []byte) error {
	return unmarshalTuple(b, &p.at, &p.value)
}

func (p *pair) float() (float64, error) {
	var n number
	err := json.Unmarshal(p.value, &n)
	return float64(n), err
}

func (p *pair) histogram() (*histogram.FloatHistogram, error) {
	var h histogramJSON
	if err := json.Unmarshal(p.value, &h); err != nil {
		return nil, err
	}
	return h.rebuild()
}

func unmarshalTuple(b []byte, to ...any) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if len(parts) != len(to) {
		return fmt.Errorf("expected %d elements, got %s", len(to), b)
	}
	for i, part := range parts {
		if err := json.Unmarshal(part, to[i]); err != nil {
			return err
		}
	}
	return nil
}

// milliseconds is a time that is written as seconds.
type milliseconds int64

// UnmarshalJSON implements json.Unmarshaler.
func (m *milliseconds) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	*m = milliseconds(math.Round(f * 1000))
	return err
}

// number is a float that is written as a string.
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	f, err := strconv.ParseFloat(s, 64)
	*n = number(f)
	return err
}
