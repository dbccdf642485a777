#!/bin/sh
# Builds the container image stride:VERSION out of a static binary, for the platform of the engine that will run it. Nothing is pulled. Where Docker
# has no builder, the image is imported, with what deploy/Dockerfile says.
#   VERSION    what stride --version shows, and the tag; default: what git knows
#   IMAGE      name and tag; default: stride:VERSION
#   CA_BUNDLE  file with certificates of authorities to put into the image; default: none
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
if ! arch=$(docker version --format '{{.Server.Arch}}' 2>&1); then
	echo "An image is built with a docker command and an engine that this user may use. docker version says: $arch" >&2
	exit 1
fi
git() { command git "$@" 2>/dev/null || true; }
VERSION=${VERSION:-$(git describe --tags --match 'v[0-9]*' --always --dirty | sed 's/^v\([0-9]\)/\1/')}
VERSION=${VERSION:-unknown}
IMAGE=${IMAGE:-stride:$VERSION}
in=github.com/prometheus/common/version
link="-s -w -X $in.Version=$VERSION -X $in.Revision=$(git rev-parse HEAD) -X $in.Branch=$(git rev-parse --abbrev-ref HEAD) -X $in.BuildDate=$(git log -1 --format=%cI)"

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp deploy/Dockerfile "$context"
mkdir -p "$context/files/bin" "$context/files/tmp"
chmod 755 "$context/files" "$context/files/bin"
chmod 1777 "$context/files/tmp"
CGO_ENABLED=0 GOOS=linux GOARCH=$arch $GO build -trimpath -ldflags "$link" -o "$context/files/bin/stride" ./cmd/stride
if [ -n "${CA_BUNDLE:-}" ]; then
	mkdir -p "$context/files/etc/ssl/certs"
	cp "$CA_BUNDLE" "$context/files/etc/ssl/certs/ca-certificates.crt"
	chmod -R a+rX "$context/files/etc"
fi
if ! docker build -q -t "$IMAGE" "$context" >"$context/log" 2>&1; then
	echo "docker build says: $(cat "$context/log")" >&2
	echo "The image is imported instead." >&2
	set --
	while read -r instruction rest; do
		case $instruction in
		'' | '#' | FROM | COPY) ;;
		*) set -- "$@" --change "$instruction $rest" ;;
		esac
	done <deploy/Dockerfile
	tar -C "$context/files" -c --owner=0 --group=0 . | docker import "$@" - "$IMAGE" >/dev/null
fi
docker run --rm "$IMAGE" --version
echo "built $IMAGE, $(docker image inspect --format '{{.Size}}' "$IMAGE") bytes"
