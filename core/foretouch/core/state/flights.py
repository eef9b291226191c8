"""Which repeatable calls are under way right now, over every process of this machine.

Each call under way locks one byte of a file, at a place that its key's hash names; the operating system lets go of it
when the process ends, however it ends. Nothing is ever written to the file. Processes on other machines that share a
database server do not see each other here.
"""

import fcntl
import hashlib
import os
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

PLACES = 2**62
"""Places in the file: two keys share one next to never, and then a late repeat is told to come again."""
_FLOCK = "hhqqi4x"
"""``struct flock``: type, whence, start, length, process."""


class Flights:
    """Calls under way.

    Args:
        path: The file that processes share; None looks at this process only.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._under_way: set[tuple[str, str]] = set()
        self._file: int | None = None
        ours: Any = fcntl
        self._set, self._get = getattr(ours, "F_OFD_SETLK", None), getattr(ours, "F_OFD_GETLK", None)
        if path is not None and self._set is not None:
            with suppress(OSError):  # calls of other processes are then not seen, which costs a clearer refusal only
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def enter(self, key: tuple[str, str]) -> bool:
        """Notes that a call begins; False when one of the same key is under way, and then nothing is noted."""
        with self._lock:
            if key in self._under_way or not self._locked(key):
                return False
            self._under_way.add(key)
            return True

    def leave(self, key: tuple[str, str]) -> None:
        """The call that entered is over."""
        with self._lock:
            if key in self._under_way:
                self._under_way.discard(key)
                self._ask(self._set, fcntl.F_UNLCK, key)

    def busy(self, key: tuple[str, str]) -> bool:
        """Whether a call of this key is under way."""
        with self._lock:
            if key in self._under_way:
                return True
            found = self._ask(self._get, fcntl.F_WRLCK, key)
            return found is not None and struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK

    def close(self) -> None:
        """Lets go of everything."""
        with self._lock:
            self._under_way.clear()
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _locked(self, key: tuple[str, str]) -> bool:
        """Takes the key's byte; False when another process has it."""
        try:
            self._ask(self._set, fcntl.F_WRLCK, key)
        except BlockingIOError:
            return False
        return True

    def _ask(self, command: int | None, kind: int, key: tuple[str, str]) -> bytes | None:
        if self._file is None or command is None:
            return None
        digest = hashlib.blake2b("\n".join(key).encode(), digest_size=8).digest()
        place = int.from_bytes(digest) % PLACES
        return fcntl.fcntl(self._file, command, struct.pack(_FLOCK, kind, os.SEEK_SET, place, 1, 0))
