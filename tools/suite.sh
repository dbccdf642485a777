#!/bin/sh
# suite.sh ARGS...: Prometheus' test suite in all modes, one line for each with its time. What failed is shown whole at
# the end.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
# Subtests of the first level are the modes, those of the second the files.
{
	"${GO:-go}" test ./engine -run '^TestBuiltinSuite' -v -timeout 20m "$@" 2>&1
	echo $? >"$tmp/status"
} | tee "$tmp/log" |
	sed -n 's/^    --- \([A-Z]*\): TestBuiltinSuite[A-Za-z]*\/\([^ ]*\) (\(.*\))$/\1  \3  \2/p'
status=$(cat "$tmp/status")
modes=$(grep -c '^    --- PASS: TestBuiltinSuite' "$tmp/log")
files=$(grep -c '^        --- PASS: TestBuiltinSuite' "$tmp/log")
if [ "$status" -ne 0 ]; then
	grep -v -e '^ *=== ' -e '^ *--- PASS: ' "$tmp/log"
fi
echo "$modes modes, $files files passed"
if [ "$status" -eq 0 ] && [ "$modes" -eq 0 ]; then
	echo 'no mode ran' >&2
	exit 1
fi
exit "$status"
