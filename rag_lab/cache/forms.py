"""The three kinds of value that are remembered, and their bodies.

Shapes: D dimensions, K passages shown.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack
import numpy as np
from jaxtyping import Float, Int
from pydantic import TypeAdapter

from rag_lab.cache.codec import Form
from rag_lab.types import Answer

ANY = "surrogatepass"  # JSON can hold half a surrogate pair, and so can a text that came from it
_ANSWER = TypeAdapter(Answer)  # reads the fields off the type: whatever is added to an answer is remembered too


class Evidence(NamedTuple):
    """What a search found, best first: places in the corpus (-1 past the pool's end), fused scores."""

    passage: Int[np.ndarray, " K"]
    score: Float[np.ndarray, " K"]


def _unpack_vector(body: bytes) -> Float[np.ndarray, " D"]:
    return np.frombuffer(body, "<f4")


def _pack_evidence(found: Evidence) -> bytes:
    packed: bytes = msgpack.packb(
        (np.asarray(found.passage, "<i4").tobytes(), np.asarray(found.score, "<f4").tobytes())
    )
    return packed


def _unpack_evidence(body: bytes) -> Evidence:
    passage, score = msgpack.unpackb(body)
    found = Evidence(np.frombuffer(passage, "<i4"), np.frombuffer(score, "<f4"))
    if len(found.passage) != len(found.score):
        raise ValueError("as many places as scores")
    return found


def answer_shape() -> dict[str, Any]:
    """The fields of an answer as JSON Schema. Part of its keys: an answer of another shape is another value."""
    return _ANSWER.json_schema()


def _pack_answer(answer: Answer) -> bytes:
    packed: bytes = msgpack.packb(answer, unicode_errors=ANY)
    return packed


def _unpack_answer(body: bytes) -> Answer:
    return _ANSWER.validate_python(msgpack.unpackb(body, use_list=False, unicode_errors=ANY), strict=True)


EMBEDDING: Form[Float[np.ndarray, " D"]] = Form(
    b"v", lambda vector: np.asarray(vector, "<f4").tobytes(), _unpack_vector, lambda vector: False, vector=True
)
EVIDENCE: Form[Evidence] = Form(b"e", _pack_evidence, _unpack_evidence, lambda found: not (found.passage >= 0).any())
EXPLANATION: Form[Answer] = Form(b"a", _pack_answer, _unpack_answer, lambda answer: not answer.text)
