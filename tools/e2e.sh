#!/bin/sh
# Builds what the scenarios in containers need besides the peers, as static binaries in .cache/e2e: Stride, Stride as it was one version of its
# plans earlier, and a proxy that is as slow as a network that is far away. Says what is missing where Docker cannot be used.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
if ! said=$(docker info --format '{{.ServerVersion}}' 2>&1); then
	echo "The scenarios run in containers, and Docker cannot be used here. They need a docker command and an engine that this user may use; no image" >&2
	echo "is pulled. docker info says: ${said}" >&2
	exit 1
fi
out=$PWD/.cache/e2e
mkdir -p "$out"
CGO_ENABLED=0 $GO build -trimpath -ldflags '-s -w' -o "$out/stride" ./cmd/stride
CGO_ENABLED=0 $GO build -trimpath -ldflags '-s -w' -tags olderplan -o "$out/stride-olderplan" ./cmd/stride
(cd e2e && CGO_ENABLED=0 $GO build -trimpath -ldflags '-s -w' -o "$out/proxy" ./proxy)
