"""BEIR folders: what is read from sound ones, and what each bad row says, with file and line."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pydantic
import pytest

from rag_lab.data.beir import build
from rag_lab.errors import ConfigError, DataError
from rag_lab.types import Dataset

HEADER = "query-id\tcorpus-id\tscore\n"
SOUND = {
    "corpus.jsonl": '{"_id": "a", "title": "A", "text": "first"}\n{"_id": "b", "text": "größer"}\n'
    '{"_id": "c", "title": null, "text": " third "}\n',
    "queries.jsonl": '{"_id": "1", "text": "how?", "answer": "so"}\n'
    '{"_id": "2", "text": "why?", "answer": " "}\n'
    '{"_id": "3", "text": "unjudged"}\n{"_id": "4", "text": "when?", "domain": "any"}\n',
    "qrels/train.tsv": HEADER + "4\tc\t1\n",
    "qrels/test.tsv": HEADER + "1\ta\t2\n1\tb\t0\n2\tb\t1\n",
}


class Bar:
    """Counts what was announced and what was done; serves as the factory too."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, str]] = []
        self.done = 0

    def __call__(self, what: str, total: int, unit: str) -> Bar:
        self.seen.append((what, total, unit))
        return self

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def advance(self, amount: int = 1) -> None:
        self.done += amount


def written(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def loaded(*folders: Path, seed: int = 0, bar: Bar | None = None, **settings: object) -> Dataset:
    given = {"max_queries": None, "max_passages": None, "test_share": 0.5, "keep_overlap": False}
    domains = {f"d{number}": str(folder) for number, folder in enumerate(folders)}
    load = build(domains=domains, **{**given, **settings})  # type: ignore[arg-type]
    return load(seed, bar or Bar())


def complaint(folder: Path) -> str:
    """The error of a folder, on one line, without the folder's own path."""
    with pytest.raises(DataError) as caught:
        loaded(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/")


def test_a_sound_folder(tmp_path: Path) -> None:
    bar = Bar()
    dataset = loaded(written(tmp_path, SOUND), bar=bar)
    (one,) = dataset.collections
    assert one.passages == (("a", "A", "first", 0), ("b", "", "größer", 1), ("c", "", " third ", 2))
    assert one.queries == (
        ("d0/1", "how?", "d0", "test", 0, "so", 0),
        ("d0/2", "why?", "d0", "test", 1, None, 1),
        ("d0/4", "when?", "d0", "train", 3, None, 0),
    )
    assert one.qrels == {"d0/1": {"a": 2, "b": 0}, "d0/2": {"b": 1}, "d0/4": {"c": 1}}
    assert (one.passages_in_source, one.queries_in_source) == (3, 4)
    assert (dataset.name, dataset.notes, dataset.dropped_overlap) == ("beir", (), 0)
    assert f"- d0: `{tmp_path}`, 3 passages, 4 queries, 3 of them judged" in dataset.card
    size = sum(len(content.encode()) for content in SOUND.values())
    assert bar.seen == [("read d0", size, "bytes")] and bar.done == size


def test_compression_byte_order_marks_line_ends_and_blank_ends_do_not_matter(tmp_path: Path) -> None:
    plain = loaded(written(tmp_path / "plain", SOUND))
    other = {name: "\ufeff" + text.replace("\n", "\r\n") + "\r\n \n\n" for name, text in SOUND.items()}
    variants: list[dict[str, str | bytes]] = [
        dict(other),
        {name: text.rstrip("\n") for name, text in SOUND.items()},
        {
            name + ("" if name.startswith("qrels") else ".gz"): text
            if name.startswith("qrels")
            else gzip.compress(text.encode())
            for name, text in other.items()
        },
    ]
    for number, files in enumerate(variants):
        dataset = loaded(written(tmp_path / str(number), files))
        assert dataset.collections == plain.collections
        assert dataset.fingerprint == plain.fingerprint


def test_domains_may_share_ids_and_come_in_the_order_given(tmp_path: Path) -> None:
    dataset = loaded(written(tmp_path, SOUND), tmp_path)
    assert dataset.domains == ("d0", "d1")
    ids = [query.id for one in dataset.collections for query in one.queries]
    assert ids == ["d0/1", "d0/2", "d0/4", "d1/1", "d1/2", "d1/4"]
    assert dataset.collections[0].passages == dataset.collections[1].passages


def test_a_query_in_several_splits_is_in_test_then_dev_then_train(tmp_path: Path) -> None:
    files = {
        **SOUND,
        "qrels/train.tsv": HEADER + "1\tc\t1\n3\tc\t1\n4\tc\t1\n",
        "qrels/dev.tsv": HEADER + "1\tb\t1\n3\ta\t0\n",
        "qrels/test.tsv": HEADER + "1\ta\t1\n",
    }
    dataset = loaded(written(tmp_path, files))
    (one,) = dataset.collections
    assert one.qrels == {"d0/1": {"a": 1}, "d0/3": {"a": 0}, "d0/4": {"c": 1}}
    assert [query.split for query in one.queries] == ["test", "train", "train"]
    assert dataset.notes == ("d0: queries judged in several splits: 2; test wins over dev, dev over train.",)


def test_cuts_keep_the_rows_of_the_source(tmp_path: Path) -> None:
    rows = [json.dumps({"_id": f"p{row}", "text": f"text {row}"}) for row in range(40)]
    files = {**SOUND, "corpus.jsonl": SOUND["corpus.jsonl"] + "\n".join(rows)}
    dataset = loaded(written(tmp_path, files), max_passages=10)
    (one,) = dataset.collections
    assert len(one.passages) == 10 and one.passages_in_source == 43
    assert [passage.row for passage in one.passages] == sorted(passage.row for passage in one.passages)
    assert {"a", "b", "c"} <= {passage.id for passage in one.passages}
    assert all(passage.id == f"p{passage.row - 3}" for passage in one.passages[3:])


# case: (file, its whole content, what is said after the folder's path)
BAD_ROWS: dict[str, tuple[str, str | bytes, str]] = {
    "bad JSON": (
        "corpus.jsonl",
        '{"_id": "a", "text": "x"}\n{"_id": "b" "text": "y"}\n',
        "corpus.jsonl:2: not JSON: Expecting ',' delimiter at column 13",
    ),
    "a number beyond limits": (
        "corpus.jsonl",
        '{"_id": "a", "text": "x", "n": ' + "9" * 5000 + "}\n",
        "corpus.jsonl:1: not JSON that can be read: a number or a nesting is too long",
    ),
    "a nesting beyond limits": (
        "queries.jsonl",
        '{"_id": "1", "text": "x", "n": ' + "[" * 200_000 + "]" * 200_000 + "}\n",
        "queries.jsonl:1: not JSON that can be read: a number or a nesting is too long",
    ),
    "no object": (
        "corpus.jsonl",
        '["a", "x"]\n',
        'corpus.jsonl:1: not a JSON object; a row is like {"_id": "1", "text": "…"}',
    ),
    "not UTF-8": (
        "corpus.jsonl",
        b'{"_id": "a", "text": "x"}\n{"_id": "b", "text": "gr\xf6\xdfer"}\n',
        "corpus.jsonl:2: not UTF-8: byte 0xf6 at position 25 of the line",
    ),
    "UTF-16": (
        "queries.jsonl",
        '{"_id": "1", "text": "x"}\n'.encode("utf-16"),
        "queries.jsonl:1: not UTF-8: byte 0xff at position 1 of the line",
    ),
    "half a surrogate pair": (
        "corpus.jsonl",
        '{"_id": "a", "text": "x \\ud83d"}\n',
        'corpus.jsonl:1: "text" is not UTF-8: half a surrogate pair at character 3',
    ),
    "missing _id": (
        "corpus.jsonl",
        '{"id": "a", "text": "x"}\n',
        'corpus.jsonl:1: no "_id"; every row needs one, a non-empty string',
    ),
    "empty _id": (
        "queries.jsonl",
        '{"_id": "1", "text": "x"}\n{"_id": "", "text": "x"}\n',
        'queries.jsonl:2: no "_id"; every row needs one, a non-empty string',
    ),
    "_id a number": (
        "queries.jsonl",
        '{"_id": 1, "text": "x"}\n',
        'queries.jsonl:1: "_id" is 1; it must be a string, in quotes',
    ),
    "_id with white space": (
        "queries.jsonl",
        '{"_id": "1 a", "text": "x"}\n',
        "queries.jsonl:1: \"_id\" is '1 a'; ids hold no white space, which TREC run files cannot hold",
    ),
    "duplicate id": (
        "corpus.jsonl",
        '{"_id": "a", "text": "x"}\n{"_id": "b", "text": "x"}\n{"_id": "a", "text": "y"}\n',
        "corpus.jsonl:3: \"_id\" 'a' is on line 1 already; ids are unique",
    ),
    "duplicate query": (
        "queries.jsonl",
        '{"_id": "1", "text": "x"}\n{"_id": "1", "text": "x"}\n',
        "queries.jsonl:2: \"_id\" '1' is on line 1 already; ids are unique",
    ),
    "a title alone": (
        "corpus.jsonl",
        '{"_id": "a", "text": "x"}\n{"_id": "b", "title": "B", "text": " \\n"}\n',
        'corpus.jsonl:2: no "text"; every row needs some, and a title does not count',
    ),
    "no text at all": (
        "queries.jsonl",
        '{"_id": "1"}\n',
        'queries.jsonl:1: no "text"; every row needs some, and a title does not count',
    ),
    "text that is no string": (
        "corpus.jsonl",
        '{"_id": "a", "text": ["x"]}\n',
        "corpus.jsonl:1: \"text\" is ['x']; it must be a string",
    ),
    "title that is no string": (
        "corpus.jsonl",
        '{"_id": "a", "text": "x", "title": 5}\n',
        'corpus.jsonl:1: "title" is 5; it must be a string',
    ),
    "answer that is no string": (
        "queries.jsonl",
        '{"_id": "1", "text": "x", "answer": true}\n',
        'queries.jsonl:1: "answer" is True; it must be a string',
    ),
    "blank line between rows": (
        "corpus.jsonl",
        '{"_id": "a", "text": "x"}\n\n\n{"_id": "b", "text": "y"}\n',
        "corpus.jsonl:2: blank line; only the end of a file may have some",
    ),
    "no header": (
        "qrels/test.tsv",
        "1\ta\t2\n",
        "qrels/test.tsv:1: found '1\\ta\\t2'; the first line is the header query-id corpus-id score, separated by tabs",
    ),
    "an empty file": (
        "qrels/train.tsv",
        "",
        "qrels/train.tsv:1: found ''; the first line is the header query-id corpus-id score, separated by tabs",
    ),
    "a header alone": (
        "qrels/test.tsv",
        HEADER,
        "qrels/test.tsv:2: no judgment after the header; test judgments are needed",
    ),
    "two columns": (
        "qrels/test.tsv",
        HEADER + "1\ta\t2\n1\tb\n",
        "qrels/test.tsv:3: found 2 columns; a row has 3: query-id corpus-id score, separated by tabs",
    ),
    "four columns": (
        "qrels/test.tsv",
        HEADER + "1\t0\ta\t2\n",
        "qrels/test.tsv:2: found 4 columns; a row has 3: query-id corpus-id score, separated by tabs",
    ),
    "grade not an integer": (
        "qrels/test.tsv",
        HEADER + "1\ta\t0.5\n",
        "qrels/test.tsv:2: grade '0.5' is not an integer; above 0 means relevant",
    ),
    "grade missing": (
        "qrels/train.tsv",
        HEADER + "4\tc\t\n",
        "qrels/train.tsv:2: grade '' is not an integer; above 0 means relevant",
    ),
    "passage that does not exist": (
        "qrels/test.tsv",
        HEADER + "1\ta\t2\n1\tz\t1\n",
        "qrels/test.tsv:3: passage 'z' is judged, but not in corpus.jsonl",
    ),
    "query that does not exist": (
        "qrels/train.tsv",
        HEADER + "9\ta\t2\n",
        "qrels/train.tsv:2: query '9' is judged, but not in queries.jsonl",
    ),
    "two grades for a pair": (
        "qrels/test.tsv",
        HEADER + "1\ta\t2\n1\ta\t2\n1\ta\t1\n",
        "qrels/test.tsv:4: grade 1 for a pair that was given 2 above",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_says_file_line_and_what_was_wrong(case: str, tmp_path: Path) -> None:
    name, content, message = BAD_ROWS[case]
    assert complaint(written(tmp_path, {**SOUND, name: content})) == message


def gzipped(folder: Path, content: bytes) -> Path:
    files = {name: text for name, text in SOUND.items() if name != "corpus.jsonl"}
    return written(folder, {**files, "corpus.jsonl.gz": content})


def test_a_bad_row_in_a_compressed_file_says_its_line(tmp_path: Path) -> None:
    folder = gzipped(tmp_path, gzip.compress(b'{"_id": "a", "text": "x"}\n{"_id": "b"}\n'))
    assert complaint(folder).startswith('corpus.jsonl.gz:2: no "text"')


def test_a_file_that_is_not_gzip(tmp_path: Path) -> None:
    assert complaint(gzipped(tmp_path, SOUND["corpus.jsonl"].encode())) == (
        "corpus.jsonl.gz:1: damaged gzip: Not a gzipped file (b'{\"'); fetch it or compress it again"
    )


def test_a_truncated_gzip_says_where_it_breaks_off(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"_id": str(n), "text": f"{n**9:b}" * 9}) + "\n" for n in range(1, 500))
    whole = gzip.compress(rows.encode())
    found = complaint(gzipped(tmp_path, whole[: len(whole) // 2]))
    place, _, problem = found.partition(": ")
    assert problem == (
        "damaged gzip: Compressed file ended before the end-of-stream marker was reached; fetch it or compress it again"
    )
    assert place.startswith("corpus.jsonl.gz:") and 100 < int(place.split(":")[1]) < 400


@pytest.mark.parametrize(("position", "problem"), [(-8, "CRC check failed"), (30, "Error -3 while decompressing")])
def test_a_damaged_gzip(position: int, problem: str, tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(SOUND["corpus.jsonl"].encode()))
    whole[position] ^= 0xFF
    found = complaint(gzipped(tmp_path, bytes(whole)))
    assert found.startswith("corpus.jsonl.gz:") and f": damaged gzip: {problem}" in found


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    (written(tmp_path, SOUND) / name).unlink()
    assert complaint(tmp_path) == f"{name}: no such file, nor {name}.gz; a BEIR folder holds one of them"


def test_missing_test_judgments(tmp_path: Path) -> None:
    (written(tmp_path, SOUND) / "qrels/test.tsv").unlink()
    assert complaint(tmp_path) == (
        "qrels/test.tsv: no such file; test judgments are needed, with the header query-id corpus-id score, "
        "separated by tabs"
    )


def test_a_file_both_plain_and_compressed(tmp_path: Path) -> None:
    written(tmp_path, {**SOUND, "corpus.jsonl.gz": gzip.compress(b"")})
    assert complaint(tmp_path) == "corpus.jsonl: lies beside corpus.jsonl.gz; keep one of them"


def test_no_domains_and_missing_folders_say_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded()
    assert str(caught.value) == (
        "data=beir has no domains; give a folder in BEIR layout for each: data.domains.<domain>=<folder>"
    )
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"data.domains.d0={tmp_path / 'nowhere'}: no such folder; give one that holds corpus.jsonl"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"domains": {"a/b": "x"}},
        {"domains": {"a b": "x"}},
        {"domains": {"a": {"b": "x"}}},
        {"max_queries": 1},
        {"max_passages": 0},
        {"test_share": 0},
        {"test_share": 1},
    ],
)
def test_the_annotations_refuse_bad_values(wrong: dict[str, object]) -> None:
    good = {
        "domains": {"health-care_2": "x"},
        "max_queries": 2,
        "max_passages": None,
        "test_share": 0.5,
        "keep_overlap": False,
    }
    checked = pydantic.validate_call(build)
    checked(**good)  # type: ignore[arg-type]
    with pytest.raises(pydantic.ValidationError):
        checked(**{**good, **wrong})  # type: ignore[arg-type]


@pytest.mark.shared_data
def test_the_public_collections_are_read_whole_and_quickly(shared_data: Path) -> None:
    names = ("scifact", "fiqa", "boolq")
    started = time.perf_counter()
    dataset = loaded(*(shared_data / name for name in names))
    elapsed_s = time.perf_counter() - started
    found = {
        name: (len(one.passages), sum(query.split == "test" for query in one.queries), one.queries_in_source)
        for name, one in zip(names, dataset.collections, strict=True)
    }
    assert found == {
        "scifact": (5183, 300, 1109),
        "fiqa": (13942, 311, 1804),
        "boolq": (5473, 1000, 3270),
    }
    kept = sum(len(one.queries) for one in dataset.collections)
    assert kept + dataset.dropped_overlap == 1109 + 1804 + 3270
    assert {query.answer for query in dataset.collections[2].queries} == {"yes", "no"}
    assert len({query.id for one in dataset.collections for query in one.queries}) == kept
    assert elapsed_s < 10, "about 0.6 s on two idle cores; the rest allows for a busy machine"


@pytest.mark.shared_data
def test_a_cut_of_public_collections_is_shared_equally(shared_data: Path) -> None:
    folders = [shared_data / name for name in ("scifact", "fiqa", "boolq")]
    dataset = loaded(*folders, max_queries=90, max_passages=3000)
    assert [len(one.passages) for one in dataset.collections] == [1000, 1000, 1000]
    kept = sum(len(one.queries) for one in dataset.collections)
    assert kept + dataset.dropped_overlap == 90
    for one in dataset.collections:
        rows = {passage.id for passage in one.passages}
        assert all(passage in rows for judged in one.qrels.values() for passage in judged)
    assert loaded(*folders, max_queries=90, max_passages=3000, seed=7).fingerprint == dataset.fingerprint
