"""Answers by any server that speaks OpenAI's chat completions: a hosted model, vLLM, llama.cpp's server.

The official client sends each request again after connection errors, time-outs and the statuses 408, 409, 429 and
5xx, waiting exponentially longer, less a random part, or as long as the server asks. The key comes from the
environment alone. Answers are asked for at most `concurrency` at a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from rag_lab.errors import ConfigError
from rag_lab.l3_answer import prompt
from rag_lab.l3_answer.generator import Tools
from rag_lab.l3_answer.meter import Meter, Price
from rag_lab.types import Answer, Passage, Usage

NO_KEY = "none"  # what a server without keys is told; the client insists on one


class OpenAI(NamedTuple):
    """The generator stage's settings; see conf/generator/openai.yaml."""

    base_url: str
    model: str
    key_variable: str
    max_tokens: int
    temperature: float
    seed: int
    timeout_s: float
    retries: int
    concurrency: int
    price: Price

    def open(self, tools: Tools) -> Open:
        """The generator; nothing is sent before the first question."""
        return Open(self, tools)


class Open:
    """The generator at work. meter: what its calls took so far."""

    order_matters = True

    def __init__(self, settings: OpenAI, tools: Tools) -> None:
        self.settings, self.tools, self.meter = settings, tools, Meter(settings.price)

    @cached_property
    def _client(self) -> Any:
        from openai import OpenAI as Client

        settings = self.settings
        return Client(
            base_url=settings.base_url,
            api_key=os.environ.get(settings.key_variable) or NO_KEY,
            timeout=settings.timeout_s,
            max_retries=settings.retries,
        )

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """Ask for one answer.

        ConfigError where the server cannot be reached, refuses the key or the request, or fails to the last retry.
        """
        if not evidence:
            return Answer(prompt.REFUSAL, (), refused=True, usage=Usage(0, 0, 0, True))
        asked = prompt.messages(question, evidence)
        started = time.perf_counter()
        raw = self._send(asked)
        reply = raw.parse()
        said = (reply.choices[0].message.content or "") if reply.choices else ""
        usage = self._usage(reply.usage, asked, said)
        self.meter.add(usage, raw.retries_taken, time.perf_counter() - started)
        return prompt.read(said, evidence, usage)

    def answer_all(self, questions: Sequence[str], evidence: Sequence[Sequence[Passage]]) -> list[Answer]:
        """Ask for many answers, in order, `concurrency` at a time."""
        self._client  # noqa: B018  built once, before the threads
        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            return list(pool.map(self.answer, questions, evidence))

    def _send(self, asked: list[dict[str, str]]) -> Any:
        import openai

        settings = self.settings
        try:
            return self._client.chat.completions.with_raw_response.create(
                model=settings.model,
                messages=asked,
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                seed=settings.seed,
            )
        except openai.APITimeoutError as error:
            raise self._failed(f"did not answer within {settings.timeout_s:g} s", "generator.timeout_s") from error
        except openai.APIConnectionError as error:
            raise self._failed(f"cannot be reached ({error.__cause__ or error})", "generator.base_url") from error
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            given = "given" if os.environ.get(settings.key_variable) else "not set"
            mend = f"{settings.key_variable} in the environment ({given})"
            raise self._failed("refuses the key", mend) from error
        except openai.APIStatusError as error:
            why = " ".join(str(error.message).split())[:200]
            raise self._failed(f"says {error.status_code}: {why}", "generator.model, or wait") from error

    def _failed(self, what: str, mend: str) -> ConfigError:
        tried = f", after {self.settings.retries} retries" if self.settings.retries else ""
        return ConfigError(f"generator=openai: {self.settings.base_url} {what}{tried}; see to {mend}")

    def _usage(self, billed: Any, asked: list[dict[str, str]], said: str) -> Usage:
        if billed is not None:
            return Usage(1, int(billed.prompt_tokens), int(billed.completion_tokens), True)
        *read, written = self.tools.shelf.count([*(one["content"] for one in asked), said])
        return Usage(1, int(sum(read)), int(written), False)


def build(
    *,
    base_url: Annotated[str, Field(pattern=r"^https?://")],
    model: Annotated[str, Field(min_length=1)],
    key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")],
    max_tokens: Annotated[int, Field(ge=1)],
    temperature: Annotated[float, Field(ge=0, le=2)],
    seed: int,
    timeout_s: Annotated[float, Field(gt=0)],
    retries: Annotated[int, Field(ge=0, le=20)],
    concurrency: Annotated[int, Field(ge=1, le=256)],
    price: Price,
) -> OpenAI:
    """The generator. key_variable: the environment variable that holds the key; max_tokens: of an answer;
    timeout_s: of one request; retries: how often a failed request is sent again; price: for the log, US dollars
    per million
    tokens."""
    return OpenAI(base_url, model, key_variable, max_tokens, temperature, seed, timeout_s, retries, concurrency, price)
