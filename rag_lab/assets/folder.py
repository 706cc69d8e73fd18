"""Where downloads and derived files are kept between runs: one folder per user.

Layout: `wheels/` pinned downloads, `packaged/` the parsed default data, `vectors/` encoded texts.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "RAG_LAB_CACHE"


def cache_folder() -> Path:
    """The user's cache folder: `RAG_LAB_CACHE` where it is set, else the platform's own for "rag-lab".

    The environment is read at every call, so that it can change after the import. The folder need not
    exist: who writes creates it.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("rag-lab", appauthor=False)
