// Package stridepb holds the generated messages and services of Stride's own gRPC API. The code is made from the .proto file by `make
// proto`.
package stridepb
