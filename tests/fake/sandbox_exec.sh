#!/bin/bash
# Stands for macOS's sandbox-exec: takes a profile, keeps it for the test, walls nothing.
[ "$1" = -p ] || exit 64
printf '%s' "$2" >"$(dirname "$0")/profile"
shift 2
exec "$@"
