// Package thanospb holds the generated messages and services of Thanos' gRPC API, as far as they are used here: thanos.Query,
// thanos.info.Info and thanos.Store. The code is made from the .proto files by `make proto`.
package thanospb
