"""The default data: each source's rules on small made-up files, the kept file, and the real wheels."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rag_lab.assets.folder import cache_folder
from rag_lab.assets.wheels import Pin, read_member
from rag_lab.data import packaged
from rag_lab.data.fingerprint import fingerprint
from rag_lab.data.packaged import (
    bank,
    consensus,
    encyclopedia,
    fanout,
    phenotypes,
    scenarios,
    sources,
    unsolvable,
)
from rag_lab.data.packaged.card import KINDS, SOURCES, card, kind
from rag_lab.data.packaged.labels import ECONOMICS, HEALTH, begins_with, label
from rag_lab.data.packaged.parts import Part, Question, Text, collect
from rag_lab.data.validate import validate
from rag_lab.types import Progress


class Silent:
    """A ProgressFactory that counts the bars it opened."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self, what: str, total: int, unit: str) -> Progress:
        self.opened += 1
        return self

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, amount: int = 1) -> None:
        pass


def lines(*records: object) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


def literature(question: str, claims: list[str], ideal: str) -> dict[str, Any]:
    content = "".join(f"claim: {claim}\n" for claim in claims) + f"question: {question}"
    return {
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}],
        "ideal": f"Summary: {ideal}",
    }


def reading(question: str, context: str, ideal: str) -> dict[str, Any]:
    return {
        "input": [{"role": "user", "content": f"Question: {question}\n Context: {context}"}],
        "ideal": ideal,
    }


CONSENSUS = lines(
    literature("does zinc  help?", ["Zinc helps.", "It helps\nmost people."], "It does."),
    literature("does zinc help?", ["Zinc helps.", "Zinc helped mice."], "Mostly."),
    literature("can zinc cure cancer?", ["Zinc helps.", "Zinc is a metal."], "N-A"),
    literature("do wages follow inflation?", ["Wages follow."], "They do."),
    literature("is the earth warming?", ["It is."], "Yes."),
)
UNSOLVABLE = lines(
    reading("Who was first?", "Ada was  first.", "Solveable"), reading("Who was last?", "Ada.", "Unsolveable")
)
ONTOLOGY = b"""format-version: 1.2

[Term]
id: HP:0000001
name: Pharyngalgia
def: "Pain in the pharynx (a \\"sore\\" one)." [PMID:1]
synonym: "Pharyngalgic state" EXACT layperson []
synonym: "Sore throat" EXACT layperson []

[Term]
id: HP:0000002
name: Throat discomfort
def: "An unpleasant feeling in the throat." []
synonym: "sore throat" EXACT layperson [ORCID:1]

[Term]
id: HP:0000003
name: Hand clenching
def: "Closing the hand." []
synonym: "Clenched hands" EXACT layperson []
synonym: "Fists" RELATED layperson []
synonym: "Fist making" EXACT []

[Term]
id: HP:0000004
name: Gone
def: "Not used any more." []
synonym: "Old words" EXACT layperson []
is_obsolete: true

[Term]
id: HP:0000005
name: Undefined
synonym: "No words" EXACT layperson []

[Typedef]
id: has_part
"""
SUMMARIES = json.dumps(
    {
        "Mount Everest": {"title": "Mount Everest", "extract": "A  mountain."},
        "K2": {"title": "K2", "extract": "Another mountain."},
        "Empty": {"title": "Empty", "extract": " "},
    }
).encode()
FANOUT = json.dumps(
    [
        {
            "question": "How high are Everest and Ben Nevis?",
            "decomposition": [
                {
                    "id": "a",
                    "question": "Which mountains?",
                    "answer": ["Everest", "Ben Nevis"],
                    "decomposition": [
                        {
                            "id": "b",
                            "question": "How high is Everest?",
                            "answer": {"metres": 8848.86, "alone": True},
                            "evidence": {"title": "Mount Everest"},
                            "decomposition": [],
                        }
                    ],
                },
                {"id": "c", "question": "Ben Nevis?", "answer": "1", "evidence": {"title": "Ben Nevis"}},
                {"id": "d", "question": "What is 's height?", "answer": "8611 m", "evidence": {"title": "K2"}},
                {"id": "e", "question": "How high is K2?", "answer": "8611 m", "evidence": {"title": "K2"}},
            ],
        }
    ]
).encode()

DOCUMENTS = [
    {
        "id": "doc_checking_accounts_blue_account_001",
        "title": "Blue Account at a glance",
        "content": "## Key details\n\n| Item | Detail |\n|---|:--|\n| **APY** | `1%` |\n\n## Notes\n- No fees.\n",
    },
    {
        "id": "doc_checking_accounts_blue_account_002",
        "title": "Why was my transfer declined?",
        "content": "## Reasons\n- Too much.\n\n## Need help?\n- Call the Blue Account line.",
    },
    {
        "id": "doc_checking_accounts_blue_account_003",
        "title": "FAQ: Blue Account",
        "content": "## Frequently asked questions\n\n### What does paper cost?\nPaper costs $2.50 per month.\n\n"
        "### Does the Blue Account earn interest?\n- Yes. It earns 1% APY.\n\n### Any fee?\n$0.00",
    },
    {
        "id": "doc_everyone_pay_sending_limits_001",
        "title": "Sending limits: Complete Guide",
        "content": "## Limits\n- Can it be raised?\n\n## Common Questions\n\n- What is my limit?\n"
        "  - Your limit is $500 a day.\n- Q: Who sets it?\n  A: The bank sets it yearly.\n\n## Tips\n- Ask early.",
    },
    {
        "id": "doc_buy_now_pay_later_bnpl_gold_001",
        "title": "BNPL Gold",
        "content": "Costs [value not available].",
    },
]
TASKS = [
    {
        "id": "task_001",
        "required_documents": ["doc_checking_accounts_blue_account_001"],
        "user_scenario": {
            "instructions": "You are playing the role of a customer named Sarah Bosch.\n\n"
            "You're looking for a credit card (do not mention which) for your purchases. You want the one that "
            "gives you the most cash back: make this extremely upfront. DO NOT mention your job.You will not pay "
            "fees.\n\nYou have access to a tool."
        },
    },
    {
        "id": "task_002",
        "required_documents": ["doc_checking_accounts_blue_account_003"],
        "user_scenario": {"instructions": "Your character is Kenji.\n- Start by saying you want to change your email."},
    },
    {
        "id": "task_003",
        "required_documents": [
            "doc_checking_accounts_blue_account_002",
            "doc_checking_accounts_blue_account_001",
        ],
        "user_scenario": {
            "instructions": 'Ask twice in your opening statement.\n1. **Opening - all at once:** "Hi there! '
            "I have two wishes:\n   - First, close my account\n   - Second, open another.\n   If the agent asks, "
            'say no. Can you help?"\n2. **When asked:** "Blue."'
        },
    },
]
MEMBERS = {
    consensus.MEMBER: CONSENSUS,
    unsolvable.MEMBER: UNSOLVABLE,
    phenotypes.MEMBER: ONTOLOGY,
    bank.MEMBER: gzip.compress(json.dumps(DOCUMENTS).encode()),
    scenarios.MEMBER: json.dumps(TASKS).encode(),
    fanout.MEMBER: FANOUT,
    encyclopedia.MEMBER: SUMMARIES,
}


FINGERPRINT = "69a5184ae74a5d57a74af2102c7ab7d20d4c5375a3c5637d37859f16eec653cd"  # of the real collections, uncut


# Parts and collections


def test_collect_merges_what_reads_the_same_and_prefixes_ids() -> None:
    texts = (Text("a", "T", "same"), Text("b", "T", "same"), Text("c", "other title", "same"))
    asked = (Question("q1", "Why?", ("a",), "so"), Question("q2", "why?", ("b", "c")), Question("q3", "Who?"))
    one = collect("general", [Part(texts), Part(questions=asked)])
    assert {passage.id for passage in one.passages} == {"general/a", "general/c"}
    assert [passage.row for passage in one.passages] == [0, 1]
    assert [(query.id, query.answer, query.split, query.cluster) for query in one.queries] == [
        ("general/q1", "so", "test", -1)
    ]
    assert one.qrels == {"general/q1": {"general/a": 1, "general/c": 1}}
    assert [query.id for query in one.unanswerable] == ["general/q3"]
    assert (one.passages_in_source, one.queries_in_source) == (2, 1)


def test_a_question_is_unanswerable_only_if_no_row_answers_it() -> None:
    asked = (Question("q1", "Why?"), Question("q2", "Why?", ("a",)))
    one = collect("general", [Part((Text("a", "", "so"),), asked)])
    assert [query.id for query in one.queries] == ["general/q2"] and one.unanswerable == ()


def test_the_passages_order_does_not_tell_judged_from_others() -> None:
    names = [f"t{number}" for number in range(200)]
    texts = tuple(Text(name, "", name) for name in names)
    one = collect("general", [Part(texts, (Question("q", "?", tuple(names[:100])),))])
    judged = [passage.row for passage in one.passages if passage.id in one.qrels["general/q"]]
    assert 70 < sum(judged) / len(judged) < 130


# The literature


def test_rows_of_one_question_share_their_claims() -> None:
    parts = consensus.parts(CONSENSUS)
    health = collect("healthcare", [parts["health"]])
    assert [(query.id, query.text, query.answer) for query in health.queries] == [
        ("healthcare/consensus-1", "does zinc help?", "It does.")
    ]
    texts = {passage.id: passage.text for passage in health.passages}
    assert [texts[name] for name in health.qrels["healthcare/consensus-1"]] == [
        "Zinc helps.",
        "It helps most people.",
        "Zinc helped mice.",
    ]
    assert texts["healthcare/claim-3-2"] == "Zinc is a metal."
    assert [query.text for query in health.unanswerable] == ["can zinc cure cancer?"]
    assert {"health", "economics", "other"} == set(parts)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Does financial stress cause depression?", "health"),
        ("What is the economic impact of abortion?", "economics"),
        ("do interests rates impact inflation?", "economics"),
        ("how to reduce inflammation and gut flora?", "health"),
        ("does affirmative action improve equity", "other"),
        ("Is the moon made of cheese?", "other"),
    ],
)
def test_labels(question: str, expected: str) -> None:
    assert label(question) == expected


# Reading, encyclopedia, sub-questions


def test_reading_questions_keep_the_unanswerable_apart() -> None:
    one = collect("general", [unsolvable.part(UNSOLVABLE)])
    assert [(query.text, one.qrels[query.id]) for query in one.queries] == [
        ("Who was first?", {"general/context-1": 1})
    ]
    assert [query.text for query in one.unanswerable] == ["Who was last?"]
    assert {passage.text for passage in one.passages} == {"Ada was first.", "Ada."}


def test_sub_questions_are_found_at_any_depth_where_their_article_is_known() -> None:
    articles = encyclopedia.texts(SUMMARIES)
    assert articles["Mount Everest"] == Text("wiki-Mount_Everest", "Mount Everest", "A mountain.")
    assert "Empty" not in articles
    assert fanout.questions(FANOUT, articles) == (
        Question("fanout-b", "How high is Everest?", ("wiki-Mount_Everest",), "metres: 8848.86; alone: yes"),
        Question("fanout-e", "How high is K2?", ("wiki-K2",), "8611 m"),
    )


# The ontology


def test_lay_words_share_no_word_with_the_name_and_mean_every_term_they_fit() -> None:
    part = phenotypes.part(ONTOLOGY)
    assert part.questions == (
        Question("lay-0000001", "Sore throat", part.questions[0].relevant, 'Pain in the pharynx (a "sore" one).'),
    )
    assert set(part.questions[0].relevant) == {"hp-0000001", "hp-0000002"}
    assert {text.title for text in part.texts} == {"Pharyngalgia", "Throat discomfort", "Hand clenching"}


def test_the_numbers_of_terms_are_bounded() -> None:
    assert len(phenotypes.part(ONTOLOGY, queries=1, others=0).texts) == 2
    assert phenotypes.part(ONTOLOGY, queries=0, others=2).questions == ()


# The bank


@pytest.fixture(scope="module")
def bank_part() -> tuple[Part, dict[str, tuple[str, ...]]]:
    return bank.part(MEMBERS[bank.MEMBER])


def test_documents_become_plain_passages(bank_part: tuple[Part, dict[str, tuple[str, ...]]]) -> None:
    texts = {text.id: text for text in bank_part[0].texts}
    assert texts["bank-checking_accounts_blue_account_001-1"] == Text(
        "bank-checking_accounts_blue_account_001-1",
        "Blue Account at a glance",
        "Key details\nItem | Detail\nAPY | 1%\nNotes\n- No fees.",
    )
    assert not any("bnpl" in name for name in texts)


def test_a_title_that_asks_gives_way_to_the_product(
    bank_part: tuple[Part, dict[str, tuple[str, ...]]],
) -> None:
    name = "bank-checking_accounts_blue_account_002"
    assert Question(f"{name}-title", "Why was my transfer declined?", (f"{name}-1",)) in bank_part[0].questions
    assert next(text for text in bank_part[0].texts if text.id == f"{name}-1").title == "Blue Account"


def test_faqs_are_asked_about_their_product(bank_part: tuple[Part, dict[str, tuple[str, ...]]]) -> None:
    asked = {question.text: question.answer for question in bank_part[0].questions if "faq" in question.id}
    assert asked == {
        "Blue Account: What does paper cost?": "Paper costs $2.50 per month.",
        "Does the Blue Account earn interest?": "Yes. It earns 1% APY.",
        "Sending limits: What is my limit?": "Your limit is $500 a day.",
        "Sending limits: Who sets it?": "The bank sets it yearly.",
    }
    texts = {text.id: text.text for text in bank_part[0].texts}
    assert texts["bank-checking_accounts_blue_account_003-faq-3"] == "Any fee? $0.00"
    assert texts["bank-everyone_pay_sending_limits_001-1"] == ("Limits\n- Can it be raised?\nTips\n- Ask early.")


def test_pieces_are_short_balanced_and_begin_with_their_heading() -> None:
    sections = [line for number in range(6) for line in (f"## Part {number}", "word " * 70)]
    cut = list(bank.pieces(sections))
    assert [bank.count(piece) for piece in cut] == [146, 146, 146]
    assert all(piece[0].startswith("## Part") for piece in cut)
    long = ["## Long", *["- " + "word " * 59] * 8, "One sentence. " * 150]
    assert all(bank.count(piece) <= 200 and piece[0] == "## Long" for piece in bank.pieces(long))
    assert sum(bank.count(piece) - 2 for piece in bank.pieces(long)) == bank.count(long) - 2
    assert list(bank.pieces(["## Only", "### Headings"])) == []


def test_scenarios_keep_the_need_and_lose_the_stage_directions(
    bank_part: tuple[Part, dict[str, tuple[str, ...]]],
) -> None:
    asked = scenarios.questions(MEMBERS[scenarios.MEMBER], bank_part[1])
    assert [question.text for question in asked] == [
        "I'm looking for a credit card for my purchases. I want the one that gives me the most cash back. I will "
        "not pay fees.",
        "I want to change my email.",
        "I have two wishes: First, close my account Second, open another. Can you help?",
    ]
    assert asked[2].relevant == (
        "bank-checking_accounts_blue_account_002-1",
        "bank-checking_accounts_blue_account_001-1",
    )


def test_the_answers_of_a_required_faq_are_not_judged_for_the_scenario(
    bank_part: tuple[Part, dict[str, tuple[str, ...]]],
) -> None:
    held = bank_part[1]
    assert held["doc_everyone_pay_sending_limits_001"] == ("bank-everyone_pay_sending_limits_001-1",)
    assert held["doc_checking_accounts_blue_account_003"] == ()


# The kept file


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All members in one wheel that pip finds in a folder; the cache folder is `tmp_path/cache`."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    house = tmp_path / "house"
    house.mkdir()
    wheel = house / "demo_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, content in MEMBERS.items():
            archive.writestr(member, content)
        record = "demo_data-1.0.dist-info"
        archive.writestr(f"{record}/METADATA", "Metadata-Version: 2.1\nName: demo-data\nVersion: 1.0\n")
        archive.writestr(f"{record}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{record}/RECORD", "")
    pin = Pin("demo-data", "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), wheel.stat().st_size)
    monkeypatch.setattr(sources, "MEMBERS", dict.fromkeys(MEMBERS, pin))
    monkeypatch.setenv("RAG_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))
    return house


def test_the_parsed_data_are_kept(wheelhouse: Path) -> None:
    cold = sources.raw(Silent())
    assert cold == sources.derive(MEMBERS.__getitem__)
    validate(cold)
    shutil.rmtree(cache_folder() / "wheels")
    shutil.rmtree(wheelhouse)
    warm = Silent()
    assert sources.raw(warm) == cold and warm.opened == 0


def test_a_damaged_kept_file_is_remade(wheelhouse: Path) -> None:
    cold = sources.raw(Silent())
    whole = sources.kept().read_bytes()
    sources.kept().write_bytes(whole[: len(whole) // 2])
    assert sources.raw(Silent()) == cold
    assert sources.kept().read_bytes() == whole
    for damaged in (b"", b"text", gzip.compress(b"[{}]"), gzip.compress(b"\xff"), gzip.compress(b"[1]")):
        with pytest.raises(sources.DAMAGED):
            sources.loads(damaged)


def test_the_kept_file_is_named_after_pins_and_derivation(wheelhouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {sources.kept()}
    monkeypatch.setattr(sources, "DERIVATION", sources.DERIVATION + 1)
    names.add(sources.kept())
    monkeypatch.setattr(sources, "MEMBERS", dict.fromkeys(MEMBERS, Pin("demo-data", "1.0", "0" * 64, 1)))
    names.add(sources.kept())
    assert len(names) == 3


def test_the_card_names_every_source_and_counts() -> None:
    collections = sources.derive(MEMBERS.__getitem__)
    text = card(collections)
    assert {one.pin for one in SOURCES} == set(sources.MEMBERS.values())
    assert all(one.licence in text and str(one.pin) in text for one in SOURCES)
    assert "| healthcare | 7 | 2 | 1 questions to the literature; 1 lay words for medical terms | 1 |" in text
    assert not re.search(r"\{\w*\}", text)


# The real wheels


@pytest.mark.network
def test_the_real_data() -> None:
    """Holds the derivation still: who changes it raises `sources.DERIVATION` and writes the new sums here."""
    collections = sources.derive(lambda member: read_member(sources.MEMBERS[member], member, Silent()))
    validate(collections)
    assert (sources.DERIVATION, fingerprint(collections)) == (1, FINGERPRINT)
    counts = Counter((query.domain, kind(query)) for one in collections for query in one.queries)
    told = dict(KINDS)
    assert counts == {
        ("healthcare", told["consensus-"]): 176,
        ("healthcare", told["lay-"]): 300,
        ("finance", told["bank-scenario-"]): 89,
        ("finance", told["bank-"]): 188,
        ("finance", told["consensus-"]): 24,
        ("general", told["fanout-"]): 539,
        ("general", told["solvable-"]): 150,
        ("general", told["consensus-"]): 74,
    }
    for one in collections:
        texts = [passage.indexed_text for passage in one.passages]
        assert len(set(texts)) == len(texts)
        assert all(text == text.strip() and "  " not in text for text in texts)
    bank_words = [len(passage.text.split()) for passage in collections[1].passages if "/bank-" in passage.id]
    assert max(bank_words) <= bank.WORDS
    needs = [query.text for query in collections[1].queries if "/bank-scenario-" in query.id]
    assert all(re.search(r"\b(I|my)\b", need) and len(need) > 30 for need in needs)
    assert not any(re.search(r"the agent|customer service|role of|upfront|you're playing", need) for need in needs)


@pytest.mark.network
def test_every_stem_earns_its_place() -> None:
    rows = consensus.parse(read_member(sources.MEMBERS[consensus.MEMBER], consensus.MEMBER, Silent()))
    asked = {row.question for row in rows}
    assert len(asked) == 328
    for stem in (*HEALTH, *ECONOMICS):
        assert any(begins_with((stem,)).search(question) for question in asked), stem


@pytest.mark.network
def test_the_loader_gives_a_data_set() -> None:
    load = packaged.build(max_queries=90, max_passages=600, test_share=0.5, keep_overlap=False)
    one, other = load(0, Silent()), load(1, Silent())
    assert one.name == "packaged" and one.domains == ("healthcare", "finance", "general")
    assert one.fingerprint == other.fingerprint and one.dropped_overlap == 0
    assert sum(len(collection.queries) for collection in one.collections) == 90
    assert [query.split for query in one.collections[0].queries] != [
        query.split for query in other.collections[0].queries
    ]
