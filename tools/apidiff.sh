#!/bin/sh
# apidiff.sh: shows which exported names of the module have changed in a way that breaks its users, compared with the
# last release or, without one, with the commit that the branch started from (on main: the commit before). It informs
# and never fails: before version 1 names may change.
set -u
GO=${GO:-go}
TOOL=${TOOL:-$GO tool -modfile=tools.mod}

skip() {
	echo "api: $1; nothing to compare"
	exit 0
}

git rev-parse --git-dir >/dev/null 2>&1 || skip 'not a git repository'
base=${BASE:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null)}
if [ -z "$base" ]; then
	head=$(git rev-parse HEAD 2>/dev/null)
	for main in origin/main main; do
		base=$(git merge-base "$main" HEAD 2>/dev/null) && break
	done
	if [ -z "$base" ] || [ "$base" = "$head" ]; then
		base=$(git rev-parse --verify --quiet 'HEAD^{commit}^')
	fi
fi
[ -n "$base" ] || skip 'no release and no earlier commit'

name=$base # a tag, or short for a commit
git rev-parse --verify --quiet "refs/tags/$base" >/dev/null || name=$(git rev-parse --short "$base")

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
# An index of its own leaves the repository alone.
export_base() {
	GIT_INDEX_FILE="$tmp/index" git read-tree "$base" &&
		GIT_INDEX_FILE="$tmp/index" git checkout-index --all --prefix="$tmp/base/"
}
export_base || skip "cannot read $name"
module=$($GO list -m) || exit 1
apidiff=$($TOOL -n apidiff) || exit 1
write() { # write FILE DIR
	(cd "$2" && $GO list -m >/dev/null && "$apidiff" -m -w "$1" "$module") >"$tmp/log" 2>&1
}
write "$tmp/base.export" "$tmp/base" || {
	cat "$tmp/log"
	skip "$name does not compile"
}
if ! write "$tmp/now.export" .; then
	cat "$tmp/log" >&2
	exit 1
fi
changes=$("$apidiff" -m -incompatible "$tmp/base.export" "$tmp/now.export" 2>"$tmp/log") || {
	cat "$tmp/log" >&2
	exit 1
}
if [ -z "$changes" ]; then
	echo "api: no exported name was broken since $name"
else
	echo "api: these changes since $name break users of the packages:"
	printf '%s\n' "$changes"
fi
