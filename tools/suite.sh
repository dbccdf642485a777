#!/bin/sh
# suite.sh: Prometheus' test suite in all modes, one line for each with its time. The output of modes that fail is
# shown whole.
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
"${GO:-go}" test ./engine -run '^TestBuiltinSuite' -v "$@" >"$log" 2>&1
status=$?
if [ $status -ne 0 ]; then
	grep -v -e '^ *=== ' -e '^ *--- PASS: ' "$log"
fi
# Subtests of the first level are the modes, those of the second the files.
modes=$(grep -c '^    --- PASS: TestBuiltinSuite' "$log")
files=$(grep -c '^        --- PASS: TestBuiltinSuite' "$log")
sed -n 's/^    --- \([A-Z]*\): TestBuiltinSuite[A-Za-z]*\/\([^ ]*\) (\(.*\))$/\1  \3  \2/p' "$log"
echo "$modes modes, $files files passed"
if [ $status -eq 0 ] && [ "$modes" -eq 0 ]; then
	echo 'no mode ran' >&2
	exit 1
fi
exit $status
