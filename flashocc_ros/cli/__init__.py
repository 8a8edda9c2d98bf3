"""The commands of ``flashocc``, none of which starts on libraries that are too old."""

import sys

from flashocc_ros import floors

if problem := floors.problem():  # here, for the next import is that of a library
    sys.exit(f"error: {problem}")
