#!/bin/sh
# gotest.sh ARGS...: go test with one line for each package that passes and the whole output of those that fail, as
# they come. Packages without tests are left out.
status=$(mktemp) || exit 1
trap 'rm -f "$status"' EXIT
trap 'exit 130' INT TERM
{
	"${GO:-go}" test "$@" 2>&1
	echo $? >"$status"
} | grep -v '\[no test files\]$'
exit "$(cat "$status")"
