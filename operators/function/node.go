// Package function holds the operators of all PromQL functions that take no range vector, and of
// unary minus.
//
// Inputs are numbered in argument order; strings and constant scalars are no inputs. Elementwise
// functions are stages of the vector's pipeline, functions that look across series are sinks
// that become the source of the next pipeline.
package function

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"

	"github.com/stride-promql/stride/operators"
)

// node is what operators have in common that keep no state by series and take nothing from storage.
type node struct {
	schema *operators.Schema
}

// Schema lists the series of the output.
func (n *node) Schema() *operators.Schema { return n.schema }

// Bind has nothing to resolve.
func (*node) Bind(context.Context) error { return nil }

// Extend has no state by series.
func (*node) Extend() error { return nil }

// Open has no state by step.
func (*node) Open(operators.StepRange) error { return nil }

// Close has nothing to give back.
func (*node) Close() {}

func dropMetadata(l labels.Labels) labels.Labels { return l.DropReserved(schema.IsMetadataLabel) }

// onlyFloats is a batch with b's places of float samples to write results into: b itself, without
// its histograms, or, if others see b, another one.
func onlyFloats(w *operators.Worker, b *operators.Batch) *operators.Batch {
	if !b.Shared {
		b.RemoveHistograms()
		return b
	}
	out := w.Like(b)
	copy(out.Valid, b.Valid)
	return out
}
