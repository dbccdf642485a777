// Package interop runs real Prometheus servers and Thanos components beside Stride, as processes on loopback, and compares their
// answers with those of Prometheus' engine over all the data. tools/peers.sh builds them.
package interop
