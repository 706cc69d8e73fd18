"""What may be a secret, taken out of text before it reaches a page: values of keys, tokens and passwords."""

from __future__ import annotations

import re

HIDDEN = "…"
# `openai.api_key=…`, `password: …`, `Bearer …`; the name ends there, so that `max_tokens=128` stays.
_NAMED = re.compile(
    r"(?i)([\w.\-]*(?:api_?key|secret|password|passwd|token|authorization)[\"']?\s*[=:]\s*[\"']?)[^\s\"',]+"
)
_BEARER = re.compile(r"(?i)(bearer\s+)\S+")
_IN_ADDRESS = re.compile(r"(://)[^/@\s]+@")  # redis://user:password@host


def veil(text: str) -> str:
    """The text, with every such value replaced by an ellipsis."""
    text = _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)
    return _NAMED.sub(rf"\1{HIDDEN}", _BEARER.sub(rf"\1{HIDDEN}", text))
