"""The name of a remembered value: everything that decides the value, and nothing else.

    <namespace>:<layer>:<index>:<setting>:<question>

index, setting and question are hashes (BLAKE2b): of the index' fingerprint; of encoder and configuration; of the
normalised question with whatever else differs from one request to the next. A new index or setting is therefore
another name, and an old value cannot be served under it. The index stands in the open so that all its values can
be found and deleted.

Questions that differ only in case, white space or compatibility forms (Unicode NFKC, UAX #15) are one question:
whichever was asked first decides. Superscripts, subscripts and fractions are left as they are, for NFKC would make
10² of 102.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from typing import Any, NamedTuple

QUESTION_BYTES = 16  # 128 bits: a collision among a billion questions has probability 10⁻²¹
SCOPE_BYTES = 8
KEPT = 1 << 14  # keys that are kept at hand, those asked last: for a batch, hashing costs half of what reading does
MEANT = ("<super>", "<sub>", "<fraction>")


def normalise(text: str) -> str:
    """The question without differences that do not change it."""
    if not text.isascii():
        meant = any(unicodedata.decomposition(character).startswith(MEANT) for character in text)
        text = unicodedata.normalize("NFC" if meant else "NFKC", text)
    return " ".join(text.casefold().split())


def short(text: str) -> str:
    """The hash of an index' fingerprint or of a setting, as it stands in keys."""
    return blake2b(text.encode(), digest_size=SCOPE_BYTES).hexdigest()


class Scope(NamedTuple):
    """All keys of one layer that share index and setting."""

    prefix: bytes

    def key(self, text: str, detail: bytes = b"") -> bytes:
        """The key of a question. detail: what else decides the value in this request, the lexical weight say."""
        return _key(self.prefix, text, detail)

    def keys(self, texts: Sequence[str], details: Sequence[bytes] | None) -> list[bytes]:
        """The key of each question."""
        return list(map(_key, repeat(self.prefix), texts, repeat(b"") if details is None else details))


@lru_cache(maxsize=KEPT)
def _key(prefix: bytes, text: str, detail: bytes) -> bytes:
    content = normalise(text).encode("utf-8", "surrogatepass") + b"\0" + detail
    return prefix + blake2b(content, digest_size=QUESTION_BYTES).hexdigest().encode()


def scope(namespace: str, layer: str, *, index: str, encoder: str, config: Mapping[str, Any]) -> Scope:
    """The scope of an index' fingerprint, an encoder's identity and exactly the configuration that decides the
    value; "" where there is none."""
    setting = short(json.dumps([encoder, config], sort_keys=True, ensure_ascii=False))
    return Scope(f"{namespace}:{layer}:{short(index)}:{setting}:".encode())


def pattern(namespace: str, layer: str = "*", index: str | None = None) -> bytes:
    """A glob that matches the keys of a namespace, of one layer or all, of one index or all."""
    return f"{namespace}:{layer}:{'*' if index is None else short(index)}:*".encode()


def layer_of(key: bytes) -> str:
    """The layer that a key belongs to."""
    return key.split(b":", 2)[1].decode()
