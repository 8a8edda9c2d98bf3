#!/bin/bash
# Runs a command where the workspace of the image is sourced.
set -e
# shellcheck source=/dev/null
source /ws/install/setup.bash
exec "$@"
