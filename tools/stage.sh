#!/bin/sh
# stage.sh NAME COMMAND...: runs a stage of the tests between a headline and a line with its outcome and time.
name=$1
shift
printf '\n=== %s\n' "$name"
start=$(date +%s)
"$@"
status=$?
seconds=$(($(date +%s) - start))
if [ $status -eq 0 ]; then
	printf -- '--- %s: ok in %ds\n' "$name" $seconds
else
	printf -- '--- %s: FAILED in %ds\n' "$name" $seconds
fi
exit $status
