#!/bin/sh
# Makes the wire bytes again by which Stride is tested against versions of Thanos, with Thanos' own types: what they write, and what they read
# from what Stride writes.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
out=$PWD/remote/proto/wire/testdata/golden
# This fails where Thanos' types have not read the new bytes yet.
$GO test ./remote/proto/wire -run '^TestGoldenOfStride$' -update >/dev/null || true
for module in e2e/golden/v*/; do
	version=$(basename "$module")
	echo "$version"
	(cd "$module" && $GO run -tags slicelabels . "$out/stride.json" "$out/$version")
done
$GO test ./remote/proto/wire -run '^TestGolden'
