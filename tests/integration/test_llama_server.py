"""The generators that need a language model, for real: SmolLM2-135M in process, and llama.cpp's own server.

They need the extra `llm`, which is compiled when it is installed, so the suite leaves them out where it is not:
    python -m pytest -m llm tests/integration/test_llama_server.py
The model is tiny and says what it likes: asserted is the path that a question takes, never the answer.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.request
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
from rag_lab.l3_answer import llamacpp
from rag_lab.l3_answer.generator import Tools
from rag_lab.types import Answer, Passage

CONF = Path(__file__).resolve().parents[2] / "conf" / "generator"
PRICE = {"tokens_in": 0.15, "tokens_out": 0.60}
EVIDENCE = [
    Passage("a", "Sleep", "Sleep helps the brain to store what was learned during the day.", 0),
    Passage("b", "", "Bonds pay interest twice a year.", 1),
]
START_S = 300.0  # the longest that the server may take to load the model on a busy machine
THREADS = 1  # of llama.cpp, whose threads wait for each other by spinning: two on a busy machine take minutes
TOOLS = Tools(Shelf(lambda texts: np.zeros((len(texts), 2)), lambda texts: np.zeros(len(texts), int)), Bars())
INSTALLED = importlib.util.find_spec("llama_cpp") is not None

needs_llm = pytest.mark.skipif(not INSTALLED, reason="the extra llm is not installed")


def built(name: str, **changes: Any) -> Any:
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")) | {"price": PRICE} | changes
    return wiring.build(node, "generator").open(TOOLS)


def check(answer: Answer, evidence: Sequence[Passage]) -> None:
    """Whatever the model said, it was read as an answer to this evidence, and its tokens were counted."""
    assert answer.refused or answer.text == " ".join(one.text for one in answer.sentences)
    assert set(answer.citations) <= {one.id for one in evidence}
    assert answer.usage is not None and answer.usage.counted_by_server
    assert answer.usage.tokens_in > 100 and 0 < answer.usage.tokens_out <= 24


@pytest.mark.skipif(INSTALLED, reason="the extra llm is installed")
def test_without_the_extra_the_generator_says_how_to_get_it() -> None:
    with pytest.raises(ConfigError, match=r"needs llama-cpp-python.*install rag-lab\[llm\]"):
        built("llamacpp")


# In process


@pytest.fixture(scope="module")
def generator() -> Any:
    return built("llamacpp", max_tokens=24, context_tokens=512, threads=THREADS)


@needs_llm
@pytest.mark.llm
def test_it_answers_and_counts(generator: Any) -> None:
    first = generator.answer("What does sleep help with?", EVIDENCE)
    check(first, EVIDENCE)
    assert generator.answer_all(["What does sleep help with?"], [EVIDENCE]) == [first]
    assert generator.meter.taken.answers == 2


@needs_llm
@pytest.mark.llm
def test_passages_that_do_not_fit_are_left_out_worst_first(generator: Any) -> None:
    long = Passage("long", "", "Bonds pay interest. " * 200, 2)
    assert generator.answer("Why?", [*EVIDENCE, long]) == generator.answer("Why?", EVIDENCE)
    assert generator.answer("Why?", [long]).refused


@needs_llm
@pytest.mark.llm
def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match=r"no\.gguf is not a model that llama\.cpp reads"):
        built("llamacpp", model=str(tmp_path / "no.gguf")).answer("Why?", EVIDENCE)
    with pytest.raises(ConfigError, match=r"generator\.model: no such file"):
        built("llamacpp", model=str(tmp_path / "absent.gguf")).answer("Why?", EVIDENCE)


# By llama.cpp's server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server on a free port."""
    model = llamacpp.default_model(TOOLS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path_factory.mktemp("server") / "log.txt"
    options = (
        "--model",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--n_ctx",
        "1024",
        "--n_threads",
        str(THREADS),
    )
    with said.open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "llama_cpp.server", *options], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/v1"
            wait(f"{url}/models", server, said)
            yield url
        finally:
            server.kill()
            server.wait()


@needs_llm
@pytest.mark.llm
def test_the_server_answers_and_bills(url: str) -> None:
    one = built("openai", base_url=url, model="smollm2", max_tokens=24, timeout_s=START_S)
    for found in one.answer_all(["What does sleep help with?", "Who pays interest?"], [EVIDENCE] * 2):
        check(found, EVIDENCE)
    assert one.meter.taken.calls == 2 and one.meter.taken.usd > 0


@needs_llm
@pytest.mark.llm
def test_a_prompt_beyond_its_context_is_refused_in_one_line(url: str) -> None:
    long = Passage("long", "", "Bonds pay interest. " * 400, 2)
    one = built("openai", base_url=url, model="smollm2", max_tokens=24, retries=0, timeout_s=START_S)
    with pytest.raises(ConfigError, match=r"says [45]\d\d: .*see to generator\.model") as caught:
        one.answer("Why?", [long])
    assert "\n" not in str(caught.value)


def wait(url: str, server: subprocess.Popen[bytes], said: Path) -> None:
    """Until the server answers; its own words where it does not."""
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(said.read_text(encoding="utf-8", errors="replace")[-2000:])
