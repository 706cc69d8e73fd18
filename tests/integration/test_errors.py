"""A bad configuration or a bad input: exit status 2, one line that helps, and nothing left behind."""

# ruff: noqa: E501 the tables are read by row

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from collection import Folder
from command import SMALL, WEEK2, Done, Warm, run, tree

from rag_lab import config

POLICIES = ", ".join(sorted(path.stem for path in (config.folder() / "policy").glob("*.yaml")))
EXPERIMENTS = ", ".join(sorted(path.stem for path in (config.folder() / "experiment").glob("*.yaml")))
STATIC = (WEEK2, "policy=static")

# Each: what is typed, and what the line must say.
BAD_CONFIGURATIONS = {
    "no experiment": ((), f"no experiment chosen; allowed: {EXPERIMENTS}; give \\+experiment="),
    "no such experiment": (("+experiment=week9",), f"experiment=week9: no such name; did you mean '.*'. allowed: {EXPERIMENTS}"),
    "no plus": (("experiment=week2",), r"\+experiment=week2"),
    "no such variant": ((WEEK2, "policy=thomson"), f"policy=thomson: no such name; did you mean 'thompson'. allowed: {POLICIES}"),
    "no such data": ((WEEK2, "data=bier"), "data=bier: no such name; did you mean 'beir'. allowed: .*beir, .*packaged"),
    "no such group": ((WEEK2, "polcy=static"), "polcy: no such name; did you mean 'policy'."),
    "no such top-level key": ((WEEK2, "sed=1"), "sed: no such name; did you mean 'seed'."),
    "a top-level key too many": ((WEEK2, "+sed=1"), "sed: no such name; did you mean 'seed'."),
    "a misspelt key": ((*STATIC, "policy.alhpa=0.3"), "policy.alhpa: no such name; did you mean 'alpha'."),
    "another variant's key": ((WEEK2, "policy.alpha=0.3"), "policy.alpha: no such name; .*allowed: among"),
    "a misspelt key of the experiment": ((WEEK2, "experiment.sedes=3"), "experiment.sedes: no such name; did you mean 'seeds'."),
    "a key too many": ((WEEK2, "+policy.foo=1"), "policy.foo: no such name; allowed: among"),
    "a seed that is no number": ((WEEK2, "seed=abc"), "seed: .*'abc'.*[Ii]nteger"),
    "a seed that is no integer": ((WEEK2, "seed=0.5"), "seed: .*0.5.*[Ii]nteger"),
    "a negative seed": ((WEEK2, "seed=-1"), "seed: .*-1"),
    "a seed beyond all bounds": ((WEEK2, "seed=99999999999999999999"), "seed: .*99999999999999999999"),
    "a null seed": ((WEEK2, "seed=null"), "seed"),
    "a gate that is no bool": ((WEEK2, "gate=maybe"), "gate: .*'maybe'.*bool"),
    "an alpha that is no number": ((*STATIC, "policy.alpha=abc"), "policy.alpha: given 'abc'; .*number"),
    "an alpha above 1": ((*STATIC, "policy.alpha=1.5"), "policy.alpha: given 1.5; .*less than or equal to 1"),
    "an alpha that is not a number": ((*STATIC, "policy.alpha=nan"), "policy.alpha: given nan"),
    "a count that is no number": ((WEEK2, "data.max_queries=many"), "data.max_queries: given 'many'; .*integer"),
    "a share above 1": ((WEEK2, "data.test_share=2"), "data.test_share: given 2; .*less than 1"),
    "too few resamples": ((WEEK2, "experiment.resamples=5"), "experiment.resamples: given 5; .*100"),
    "no path": ((WEEK2, "policy=recommended"), "policy.path is missing; give policy.path="),
    "no domains": ((WEEK2, "data=beir"), r"data=beir has no domains; .*data\.domains\.<domain>=<folder>"),
    "a folder that is not there": ((WEEK2, "data=beir", "data.domains.law=nowhere"), "data.domains.law=nowhere: no such folder"),
    "a domain's name that no metric can bear": ((WEEK2, "data=beir", "data.domains.a/b=."), "a/b"),
    "no policy": ((WEEK2, "policy=null"), "null is no variant|policy: .*choose one of its variants"),
    "a policy taken away": ((WEEK2, "~policy"), "policy: given None; choose one of its variants with policy=<name>"),
    "a list where one is wanted": ((WEEK2, "policy=static,thompson"), "policy: given several values; .*--multirun"),
    "one where a list is wanted": ((WEEK2, "references=static"), "references: .*list"),
    "a preset that is no number": ((WEEK2, "presets.law=abc"), "presets.law: .*'abc'.*[Ff]loat"),
    "a primary reference that is no policy": ((WEEK2, "experiment.primary_references=[nonsense]"), "primary_references.*nonsense"),
    "half a list": ((WEEK2, "policy=["), r"policy=\["),
    "quotes inside": ((WEEK2, "'policy=['"), r"'policy=\["),
    "an interpolation to nothing": ((*STATIC, "policy.alpha=${nope}"), "policy.alpha: .*nope"),
    "a variable that is not set": ((*STATIC, "policy.alpha=${oc.env:NOT_SET}"), "policy.alpha: .*NOT_SET"),
    "a build of others": ((WEEK2, "policy._target_=os.system"), "policy._target_: given 'os.system'; allowed is a build function of rag_lab"),
    "a build that is not there": ((WEEK2, "policy._target_=rag_lab.none.build"), "policy._target_: given 'rag_lab.none.build'"),
    "no build": ((WEEK2, "generator._target_=rag_lab.cli.main"), "generator._target_: given 'rag_lab.cli.main'"),
}  # fmt: skip


def refused(done: Done, says: str, status: int = 2) -> str:
    """The one line of a command that was refused and left nothing."""
    assert done.status == status, (done.stdout, done.stderr)
    assert re.fullmatch(r"rag_lab: [^\n]+\n", done.stderr), done.stderr
    assert re.search(says, done.stderr), done.stderr
    assert "full_key" not in done.stderr and "Traceback" not in done.stdout
    return done.stderr


@pytest.mark.parametrize("name", BAD_CONFIGURATIONS)
def test_a_bad_configuration_is_refused(warm: Warm, here: Path, name: str) -> None:
    arguments, says = BAD_CONFIGURATIONS[name]
    refused(warm(*arguments, cwd=here), says)
    assert tree(here) == set()


@pytest.fixture
def beir(folder: Folder) -> tuple[str, ...]:
    """The options that use the little collection."""
    return (WEEK2, "data=beir", f"data.domains.law={folder.path}", "tracking=jsonl", *SMALL)


# Each: what is typed beside the options that name sound data, and what the line must say.
BAD_CHOICES = {
    "an alpha off the grid": (("policy=static", "policy.alpha=0.35"), "alpha 0.35 is not an action; choose one of 0, 0.1, "),
    "a preset off the grid": (("presets.law=0.33",), "alpha 0.33 is not an action; choose one of 0, 0.1, "),
    "a recommendation that is not there": (("policy=recommended", "policy.path=nowhere.yaml"), "nowhere.yaml: no such file; give .* policy.path"),
    "a reference that is no policy": (("references=[nonsense]",), f"references.*nonsense.*allowed: {POLICIES}"),
    "a reference that needs a path": (("references=[recommended]",), "references.*recommended|path"),
    "groundedness without answers": (("experiment.reward.groundedness=1",), "experiment.reward.groundedness: generator=none answers nothing; give generator=extractive"),
    "a ceiling as treatment": (("policy=oracle_query",), "policy=oracle_query: a ceiling looks at the answers; choose a policy"),
    "too few queries": (("data.max_queries=2", "data.domains.other=${data.domains.law}"), "data.max_queries=2 is too few: each of 2 domains .* 4 or more"),
    "no vectors' folder": (("encoder=vectors",), "encoder=vectors has no folder for domain 'law'; .*encoder.domains.law=<folder>"),
    "vectors that are not there": (("encoder=vectors", "encoder.domains.law=nowhere"), "nowhere/corpus.npy: no such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CHOICES)
def test_a_choice_that_this_data_cannot_serve_is_refused(
    warm: Warm, here: Path, beir: tuple[str, ...], name: str
) -> None:
    arguments, says = BAD_CHOICES[name]
    refused(warm(*beir, *arguments, cwd=here), says)
    assert tree(here) == set()


ROW = {"_id": "p0", "title": "", "text": "a passage"}
BAD_ROWS = {
    "not JSON": ("corpus.jsonl", [ROW, "{'_id': 1}"], r"corpus\.jsonl:2: not JSON"),
    "not an object": ("corpus.jsonl", [ROW, "[1]"], r"corpus\.jsonl:2: not a JSON object"),
    "an id twice": ("corpus.jsonl", [ROW, ROW], r"corpus\.jsonl:2: .*'p0' is on line 1 already"),
    "a number as id": ("corpus.jsonl", [{**ROW, "_id": 7}], r"corpus\.jsonl:1: .*must be a string"),
    "no text": ("corpus.jsonl", [{**ROW, "text": " "}], r"corpus\.jsonl:1: no \"text\""),
    "a query without text": ("queries.jsonl", [{"_id": "q0"}], r"queries\.jsonl:1: no \"text\""),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_by_file_and_line(
    warm: Warm, here: Path, folder: Folder, beir: tuple[str, ...], name: str
) -> None:
    file, rows, says = BAD_ROWS[name]
    folder.rows(file, rows)
    refused(warm(*beir, cwd=here), says)
    assert tree(here) == set()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("q0", "p999", "1"), r"test\.tsv:2: passage 'p999' is judged, but not in corpus\.jsonl"),
        (("q999", "p0", "1"), r"test\.tsv:2: query 'q999' is judged, but not in queries\.jsonl"),
        (("q0", "p0", "high"), r"test\.tsv:2: grade 'high' is not an integer"),
        (("q0", "p0"), r"test\.tsv:2: found 2 columns; a row has 3"),
    ],
    ids=["passage", "query", "grade", "columns"],
)
def test_a_bad_judgment_is_named_by_file_and_line(
    warm: Warm, here: Path, folder: Folder, beir: tuple[str, ...], row: tuple[str, ...], says: str
) -> None:
    folder.judge("test", [row])
    refused(warm(*beir, cwd=here), says)
    assert tree(here) == set()


def vectors(path: Path, passages: int = 40, queries: int = 20) -> tuple[str, ...]:
    random = np.random.default_rng(0)
    path.mkdir()
    np.save(path / "corpus.npy", random.normal(size=(passages, 8)).astype(np.float32))
    np.save(path / "queries.npy", random.normal(size=(queries, 8)).astype(np.float16))
    return ("encoder=vectors", f"encoder.domains.law={path}")


@pytest.mark.parametrize(
    ("passages", "queries", "says"),
    [
        (39, 20, r"corpus\.npy: 39 rows, but the source file has 40"),
        (41, 20, r"corpus\.npy: 41 rows, but the source file has 40"),
        (40, 19, r"queries\.npy: 19 rows, but the source file has 20"),
    ],
)
def test_vectors_of_another_length_are_refused(
    warm: Warm, here: Path, beir: tuple[str, ...], tmp_path: Path, passages: int, queries: int, says: str
) -> None:
    options = vectors(tmp_path / "vectors", passages, queries)
    refused(warm(*beir, *options, cwd=here), says)
    assert tree(here) == set()


def test_vectors_of_other_passages_are_refused(warm: Warm, here: Path, beir: tuple[str, ...], tmp_path: Path) -> None:
    options = vectors(tmp_path / "vectors")
    ids = [f"p{n}" for n in range(40)]
    ids[6], ids[7] = ids[7], ids[6]
    (tmp_path / "vectors" / "ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    refused(warm(*beir, *options, cwd=here), r"ids\.txt:7: found p7, but the corpus has p6 there")
    assert tree(here) == set()


def test_vectors_that_are_not_finite_are_refused(warm: Warm, here: Path, beir: tuple[str, ...], tmp_path: Path) -> None:
    options = vectors(tmp_path / "vectors")
    spoilt = np.load(tmp_path / "vectors" / "corpus.npy")
    spoilt[3] = np.nan
    np.save(tmp_path / "vectors" / "corpus.npy", spoilt)
    refused(warm(*beir, *options, cwd=here), r"corpus\.npy: row 3 .*not finite")
    assert tree(here) == set()


@pytest.mark.network
def test_a_store_that_cannot_be_used_is_refused(warm: Warm, here: Path, beir: tuple[str, ...]) -> None:
    options = (*beir, "tracking=mlflow", "tracking.store=sqlite:////proc/nowhere/mlflow.db")
    refused(warm(*options, cwd=here), "the MLflow store .*cannot be used: .*run with tracking=jsonl")
    assert tree(here) == set()


def test_a_failure_leaves_earlier_runs_and_their_link_alone(warm: Warm, here: Path, beir: tuple[str, ...]) -> None:
    earlier = here / "runs" / "week2" / "2020-01-01"
    earlier.mkdir(parents=True)
    (here / "runs" / "latest").symlink_to("week2/2020-01-01")
    before = tree(here)
    refused(warm(*beir, "encoder=vectors", "encoder.domains.law=nowhere", cwd=here), "nowhere")
    refused(warm(*beir, "policy=static", "policy.alpha=0.35", cwd=here), "0.35")
    assert tree(here) == before and (here / "runs" / "latest").resolve() == earlier.resolve()


def test_debug_shows_the_traceback(warm: Warm, here: Path) -> None:
    done = warm(*STATIC, "policy.alpha=1.5", "debug=true", cwd=here)
    assert done.status == 2 and done.stderr.startswith("Traceback (most recent call last):")
    assert "policy.alpha: given 1.5" in done.stderr.splitlines()[-1]
    done = warm("+experiment=week9", "debug=true", cwd=here)
    assert done.status == 2 and "Traceback" in done.stderr
    assert tree(here) == set()


def test_a_process_of_its_own_ends_like_a_warm_one(warm: Warm, here: Path) -> None:
    """The other tests here fork a process that has imported the command; this one does not."""
    for arguments in (("+experiment=week9",), (*STATIC, "policy.alpha=1.5")):
        assert run(*arguments, cwd=here) == warm(*arguments, cwd=here)
    assert tree(here) == set()


def test_a_name_that_python_sees_first_is_not_taken_for_ours(here: Path) -> None:
    """A folder named like one of ours where the user stands changes nothing."""
    (here / "conf").mkdir()
    (here / "conf" / "config.yaml").write_text("nonsense: true\n", encoding="utf-8")
    refused(run("+experiment=week9", cwd=here), EXPERIMENTS)
