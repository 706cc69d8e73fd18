"""The OpenAI generator against a real server process that fails on request;
`tests/integration/test_llama_server.py` holds it against llama.cpp's own server.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from doubles import Bars

from rag_lab import wiring
from rag_lab.encoder.shelf import Shelf
from rag_lab.errors import ConfigError
from rag_lab.l3_answer import prompt
from rag_lab.l3_answer.generator import Tools
from rag_lab.types import Passage, Sentence, Usage

ROOT = Path(__file__).resolve().parents[3]
NODE = yaml.safe_load((ROOT / "conf" / "generator" / "openai.yaml").read_text(encoding="utf-8"))
PRICE = {"tokens_in": 0.15, "tokens_out": 0.60}
EVIDENCE = [Passage("a", "Sleep", "It heals.", 0), Passage("b", "", "Rest helps.", 1)]


def count(texts: Sequence[str]) -> np.ndarray:
    return np.array([len(text.split()) for text in texts])


TOOLS = Tools(Shelf(lambda texts: np.zeros((len(texts), 2)), count), Bars())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "chat_server.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None and server.stdin is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stdin.close()


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def generator(url: str, model: str, **changes: Any) -> Any:
    node = NODE | {"base_url": url, "model": model, "price": PRICE} | changes
    return wiring.build(node, "generator").open(TOOLS)


def test_an_answer_with_its_citations_usage_and_price(url: str) -> None:
    one = generator(url, "answers")
    found = one.answer("One answer?", EVIDENCE)
    assert found.sentences[0] == Sentence("Try 1 of this one.", ("a",))
    assert found.usage == Usage(1, 123, 17, True) and not found.refused
    assert one.meter.taken.calls == one.meter.taken.answers == 1
    assert one.meter.taken.usd == pytest.approx((123 * 0.15 + 17 * 0.60) / 1e6)


def test_without_a_usage_the_tokenizer_counts(url: str) -> None:
    found = generator(url, "unbilled").answer("Unbilled?", EVIDENCE)
    asked = [one["content"] for one in prompt.messages("Unbilled?", EVIDENCE)]
    said = "Try 1 of this one [1]. At most 1 at once."
    assert found.usage is not None and found.usage.tokens_in == count(asked).sum()
    assert found.usage.tokens_out in (len(said.split()), len(said.split()) + 1)
    assert not found.usage.counted_by_server


def test_without_evidence_nothing_is_sent(url: str) -> None:
    one = generator("http://127.0.0.1:9/v1", "answers")
    assert one.answer("Why?", []).refused and one.meter.taken.calls == 0


@pytest.mark.parametrize("model", ["busy-2", "broken-1"])
def test_a_failing_server_is_asked_again(url: str, model: str) -> None:
    """After 429 as soon as it allows, after 503 by the client's own growing pauses."""
    one = generator(url, model)
    failures = int(model[-1])
    assert one.answer(f"{model}?", EVIDENCE).text.startswith(f"Try {failures + 1} ")
    assert one.meter.taken.retries == failures and one.meter.taken.calls == 1


def test_many_are_asked_at_once_within_the_limit_and_answered_in_order(url: str) -> None:
    questions = [f"Question {number}?" for number in range(12)]
    one = generator(url, "busy-1", concurrency=3)
    found = one.answer_all(questions, [EVIDENCE] * 12)
    assert all(answer.text.startswith("Try 2 ") for answer in found)
    most = max(int(answer.sentences[1].text.split()[2]) for answer in found)
    assert 2 <= most <= 3
    assert one.meter.taken.answers == 12 and one.meter.taken.retries == 12


def test_the_key_comes_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    assert generator(url, "keyed", key_variable="MY_KEY").answer("Keyed?", EVIDENCE).text
    monkeypatch.setenv("MY_KEY", "wrong")
    with pytest.raises(ConfigError, match=r"refuses the key.*see to MY_KEY in the environment \(given\)") as caught:
        generator(url, "keyed", key_variable="MY_KEY").answer("Keyed again?", EVIDENCE)
    assert "wrong" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY in the environment \(not set\)"):
        generator(url, "keyed").answer("Keyed?", EVIDENCE)


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("hangs", {"timeout_s": 0.2}, r"did not answer within 0\.2 s; see to generator\.timeout_s"),
        ("absent", {}, r"says 404: .*no such model.*; see to generator\.model"),
        ("busy-9", {"retries": 1}, r"says 429: .*slow down.*, after 1 retries; see to generator\.model, or wait"),
    ],
)
def test_what_fails_to_the_end_is_told_in_one_line(url: str, model: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        generator(url, model, **({"retries": 0} | changes)).answer(f"{model} fails?", EVIDENCE)
    assert "\n" not in str(caught.value) and url in str(caught.value)


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"http://127\.0\.0\.1:9/v1 cannot be reached .*see to generator\.base_url"):
        generator("http://127.0.0.1:9/v1", "answers", retries=0).answer("Why?", EVIDENCE)


def test_opening_reads_no_key_and_sends_nothing() -> None:
    generator("http://127.0.0.1:9/v1", "answers")
