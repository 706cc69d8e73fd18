"""What was computed from a run's large files, kept as JSON below `runs/.cache/dashboard/`, by what it was made of.

A file's name holds the hash of the sources' paths, sizes and times of change, so a changed run is computed anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rag_lab.assets import atomic

FORMAT = 1  # to be raised when a computation changes, so that nothing kept before is taken for its result


def once(store: Path, what: str, sources: Sequence[Path], compute: Callable[[], Any]) -> Any:
    """`compute()`, as JSON has it; read back where it was computed before from the same sources.

    what: the computation with all that it depends on but the sources. A store that cannot be written costs time,
    nothing else.
    """
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    name = hashlib.sha256(json.dumps([FORMAT, what, stats]).encode()).hexdigest()[:32]
    path = store / f"{name}.json"
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        text = json.dumps(compute(), allow_nan=False)
    try:
        with atomic.write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError:
        pass
    return json.loads(text)
