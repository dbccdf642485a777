#!/bin/sh
# gotest.sh ARGS...: go test with one line for each package that passes and the whole output of those that fail.
# Packages without tests are left out.
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
"${GO:-go}" test "$@" >"$log" 2>&1
status=$?
grep -v '\[no test files\]$' "$log"
exit $status
