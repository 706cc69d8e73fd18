"""What every file must keep to: configuration and signatures agree, imports start nothing, tools are content."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from command import KEPT, ROOT, environment, run, tree

import rag_lab
from rag_lab import config

PACKAGE = Path(rag_lab.__file__).resolve().parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"jax", "jaxlib", "mlflow", "optuna", "pandas", "plotly", "pyarrow", "bm25s", "sqlalchemy", "scipy"}
NULL_VARIANTS = {
    "cache": "none", "detector": "none", "filter": "none", "generator": "none", "policy": "static",
    "router": "fixed", "tracking": "jsonl", "telemetry": "none", "alert": "none",
}  # fmt: skip


def variants() -> Iterator[tuple[str, dict]]:
    """(group/name, node) of every variant in conf/; an experiment's node is its own part."""
    for path in sorted(config.folder().glob("*/*.yaml")):
        group = path.parent.name
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield f"{group}/{path.stem}", content["experiment"] if group == "experiment" else content


VARIANTS = dict(variants())


def identifier(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# Configuration and code


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_s_yaml_shows_every_value_that_its_build_takes(name: str) -> None:
    node = VARIANTS[name]
    module, _, function = node["_target_"].rpartition(".")
    assert function == "build" and module.startswith("rag_lab.")
    parameters = inspect.signature(getattr(importlib.import_module(module), function)).parameters.values()
    assert all(one.kind is one.KEYWORD_ONLY and one.default is one.empty for one in parameters)
    assert set(node) - {"_target_", "defaults"} == {one.name for one in parameters}


def test_every_yaml_opens_by_saying_what_it_is() -> None:
    for name in VARIANTS:
        first, second, *_ = (config.folder() / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        assert (second if first == "# @package _global_" else first).startswith("# "), name


def test_every_build_has_a_yaml() -> None:
    built = set()
    for path in SOURCES:
        for node in parsed(path).body:
            if isinstance(node, ast.FunctionDef) and node.name == "build" and not node.args.args:
                built.add(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"))
    named = {node["_target_"].removesuffix(".build") for node in VARIANTS.values()}
    assert built == named


def test_every_group_is_a_key_with_a_default_and_the_rest_are_files() -> None:
    top = yaml.safe_load((config.folder() / "config.yaml").read_text(encoding="utf-8"))
    chosen = {group: name for one in top["defaults"] if isinstance(one, dict) for group, name in one.items()}
    groups = {name.partition("/")[0] for name in VARIANTS}
    assert groups == set(config.GROUPS)
    assert set(chosen) - {"override hydra/job_logging"} == groups - {"experiment"}
    assert {f"{group}/{name}" for group, name in chosen.items() if group in groups} <= set(VARIANTS)


@pytest.mark.parametrize("group", NULL_VARIANTS)
def test_every_stage_can_be_left_out_by_one_override(group: str) -> None:
    assert f"{group}/{NULL_VARIANTS[group]}" in VARIANTS


@pytest.mark.parametrize("path", sorted((config.folder() / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_experiment_opens_as_a_lab_note(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("\nexperiment:")[0].splitlines()
    assert head[0] == "# @package _global_"
    said = {line.lstrip("# ").split(maxsplit=1)[0] for line in head[1:] if line.startswith("# ") and line[2] != " "}
    assert said >= {"Question", "Command", "Duration", "Expected"}
    assert f"+experiment={path.stem}" in "\n".join(head)
    assert VARIANTS[f"experiment/{path.stem}"]["name"] == path.stem


def test_the_standing_references_are_policies() -> None:
    top = yaml.safe_load((config.folder() / "config.yaml").read_text(encoding="utf-8"))
    assert {f"policy/{name}" for name in top["references"]} <= set(VARIANTS)


# Files


def test_files_are_short_and_say_at_their_top_what_they_are() -> None:
    long = [identifier(path) for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > 300]
    assert long == []
    assert [identifier(path) for path in SOURCES if not ast.get_docstring(parsed(path))] == []


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = ("utils", "util", "common", "helpers", "helper", "misc")
    assert [identifier(path) for path in SOURCES if {*path.parts, path.stem} & set(drawers)] == []


def public(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions, classes and methods whose names have no leading underscore."""
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not one.name.startswith("_"):
            yield one
            if isinstance(one, ast.ClassDef):
                yield from public(one)


def test_everything_public_says_what_it_does() -> None:
    bare = [
        f"{identifier(path)}:{one.lineno} {one.name}"
        for path in SOURCES
        for one in public(parsed(path))
        if not ast.get_docstring(one)
    ]
    assert bare == []


# Imports

WATCH = """
import os, sys
here, reading, opened = os.getcwd(), [], []

def name(frame):
    return "" if frame is None else frame.f_globals.get("__name__", "")

class Watched(type(os.environ)):
    def __getitem__(self, key):
        frame = sys._getframe(1)
        while name(frame).partition(".")[0] in ("os", "collections"):
            frame = frame.f_back
        if name(frame).startswith("rag_lab"):
            reading.append(f"{name(frame)} reads {key}")
        return super().__getitem__(key)

os.environ.__class__ = Watched

def audit(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        if os.path.abspath(arguments[0]).startswith(here + os.sep):
            opened.append(arguments[0])

sys.addaudithook(audit)
import importlib
for module in sys.argv[1:]:
    importlib.import_module(module)
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is not None and bridge.backends_are_initialized():
        sys.exit(f"{module} starts a backend")
assert not reading, reading
assert not opened, opened
late = {"mlflow", "optuna", "torch"} & set(sys.modules)
assert not late, f"imported before they are used: {late}"
"""


def test_importing_starts_no_backend_opens_no_file_and_reads_no_environment(tmp_path: Path) -> None:
    names = [name for name in MODULES if not name.endswith("__main__")]
    done = run("-c", WATCH, *names, cwd=tmp_path, program=())
    assert done.status == 0 and done.stderr == "", done.stderr
    assert tree(tmp_path) == set()


def imported(*arguments: str, cwd: Path) -> set[str]:
    """The top-level packages that a command imports."""
    done = run(*arguments, cwd=cwd, flags=("-X", "importtime"))
    assert done.status == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("+experiment=week2", "--cfg", "job"), ("--version",)], ids=lambda given: given[-1]
)
def test_what_needs_no_arrays_imports_none_of_the_heavy_packages(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    found = imported(*arguments, cwd=tmp_path)
    assert "hydra" in found and "rag_lab" in found
    assert found & HEAVY == set()


# Tools


@pytest.mark.parametrize(
    "arguments",
    [
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--check", "--no-cache", "."),
        ("mypy", "--cache-dir", str(KEPT / "mypy")),
    ],
    ids=["lint", "format", "types"],
)
def test_the_checkers_are_content(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment(), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_go_down_only() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, env=environment(), text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout
