#!/bin/sh
# Builds the real Prometheus and Thanos that interop tests run beside Stride, into .cache/peers. Each is a module of its own, so that nobody
# who embeds Stride inherits their dependencies. What is there for the same go.sum is kept.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
out=$PWD/.cache/peers
mkdir -p "$out"
build() { # name, package, build tags
	sum=$(cksum <"e2e/peers/$1/go.sum" | tr ' ' -)
	if [ -x "$out/$1" ] && [ "$(cat "$out/$1.sum" 2>/dev/null)" = "$sum" ]; then
		return
	fi
	echo "building $1, which takes some minutes"
	(cd "e2e/peers/$1" && CGO_ENABLED=0 $GO build -mod=mod -trimpath -tags "$3" -ldflags '-s -w' -o "$out/$1" "$2")
	echo "$sum" >"$out/$1.sum"
}
build prometheus github.com/prometheus/prometheus/cmd/prometheus netgo,remove_all_sd
build thanos github.com/thanos-io/thanos/cmd/thanos netgo,remove_all_sd,slicelabels
