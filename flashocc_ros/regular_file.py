"""Before a file is read: a pipe would be waited for in vain, and a device never ends."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def regular_size(path: Path) -> int:
    """Size of a regular file in bytes.

    Raises:
        OSError: there is none, or it is something else.
        ValueError: no file can have this name.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device", str(path))
    return status.st_size
