// Command floor is no engine: it fetches and decodes the chunks that a query needs, once, and does nothing else. Engines are
// measured against it.
package main

import "github.com/stride-promql/stride/bench/peer"

func main() { peer.Serve(&floor{}) }
