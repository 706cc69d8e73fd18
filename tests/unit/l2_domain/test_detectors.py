"""What every detector promises, and what centroids and silence are. Accuracy on real text is for the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from rag_lab import wiring
from rag_lab.l2_domain.signature import UNKNOWN, Fitted, Labelled

FILES = sorted((Path(__file__).resolve().parents[3] / "conf" / "detector").glob("*.yaml"))
RANDOM = np.random.default_rng(0)
CENTRES = np.eye(3, 8)
WORDS = ("fever cough pain drug", "bond tax stock loan", "river song king war")
DOMAINS = RANDOM.permutation(np.repeat([0, 1, 2], [30, 10, 6]))


def near(domains: np.ndarray) -> np.ndarray:
    """Unit vectors around each domain's own axis."""
    rows = CENTRES[domains] + RANDOM.normal(0, 0.15, (len(domains), 8))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def asked(domains: np.ndarray) -> list[str]:
    """Questions in each domain's own words."""
    return [" ".join(RANDOM.choice(WORDS[domain].split(), 3)) for domain in domains]


TRAIN = Labelled(asked(DOMAINS), near(DOMAINS), DOMAINS, [[words] * 5 for words in WORDS])
TRUTH = RANDOM.integers(0, 3, 60)
TEXTS, VECTORS = asked(TRUTH), near(TRUTH)


def fitted(name: str, **changes: object) -> Fitted:
    if name == "onnx":
        pytest.importorskip("onnxruntime")
    node = yaml.safe_load((FILES[0].parent / f"{name}.yaml").read_text(encoding="utf-8"))
    return wiring.build(node | changes, "detector").fit(TRAIN, live=None)


@pytest.fixture(scope="module", params=[file.stem for file in FILES])
def named(request: pytest.FixtureRequest) -> tuple[str, Fitted]:
    """A detector, as its YAML says, that has learned."""
    return request.param, fitted(request.param)


def test_a_signature(named: tuple[str, Fitted]) -> None:
    found = named[1](TEXTS, VECTORS)
    assert found.probabilities.shape == (60, 3) and found.domain.shape == found.confidence.shape == (60,)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.confidence, found.probabilities.max(axis=1))
    spoken = found.domain != UNKNOWN
    assert (found.domain[spoken] == found.probabilities[spoken].argmax(axis=1)).all()


def test_only_the_null_detector_abstains_as_configured(named: tuple[str, Fitted]) -> None:
    """Not even on a vector that is like none, or on one that says nothing, or on an unheard word."""
    name, detector = named
    odd = np.zeros((3, 8), np.float32)
    odd[0, 7] = 1
    found = detector(["", "unheard", "fever tax"], odd)
    assert (found.domain == UNKNOWN).all() if name == "none" else (found.domain != UNKNOWN).all()


def test_easy_questions_are_told_apart(named: tuple[str, Fitted]) -> None:
    name, detector = named
    if name != "none":
        assert (detector(TEXTS, VECTORS).domain == TRUTH).mean() > 0.95


def test_company_does_not_matter(named: tuple[str, Fitted]) -> None:
    whole = named[1](TEXTS, VECTORS)
    for row in (0, 7, 59):
        alone = named[1](TEXTS[row : row + 1], VECTORS[row : row + 1])
        assert alone.domain[0] == whole.domain[row]
        np.testing.assert_allclose(alone.probabilities[0], whole.probabilities[row], atol=1e-5)


@pytest.mark.parametrize("name", ["batched", "sequential", "onnx"])
def test_the_nearest_centroid_wins_whatever_the_domains_sizes(name: str) -> None:
    centroids = np.stack([TRAIN.vectors[one == DOMAINS].mean(axis=0) for one in range(3)])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    assert fitted(name)(TEXTS, VECTORS).domain.tolist() == (VECTORS @ centroids.T).argmax(axis=1).tolist()
