"""A file that one process at a time may have."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def locked(path: Path) -> BinaryIO:
    """The file, made where there is none, for this process alone until it is closed; it is read, and appended to.

    The lock is the operating system's: it goes with the process, however that ends. Where a file system has no locks,
    there is none. Raises BlockingIOError while another process has the file.
    """
    while True:
        file = path.open("a+b")
        file.seek(0)
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            file.close()
            said = "another process is writing it: wait for its end, or write elsewhere"
            raise BlockingIOError(errno.EAGAIN, said, str(path)) from error
        except OSError:
            return file
        try:
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()  # it was deleted by the process that had it, after it was opened here
