"""Fixtures that every test may use, and the checking of shapes in every test."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import jaxtyping
import pytest

# From here on every kernel checks the shapes and types of its arguments and its result against its annotations.
# The hook works on modules imported after it, hence its place: before anything imports rag_lab.kernels.
jaxtyping.install_import_hook("rag_lab.kernels", "beartype.beartype")

# The suite tries the same examples every time. To look for others:  pytest --hypothesis-profile=default
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public test collections that lie beside a developer's checkout; the test skips without them."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the checkout")
    return folder
