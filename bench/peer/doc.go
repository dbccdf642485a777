// Package peer is what a peer program of the benchmark harness needs.
package peer
