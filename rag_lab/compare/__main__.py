"""`python -m rag_lab.compare BASELINE TREATMENT`: what changed from one run to another, and how sure that is.

A RagLabError ends it with one line on stderr and the error's exit status.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rag_lab.errors import RagLabError

COMMAND = "python -m rag_lab.compare"
COLUMNS = ("recall_at_10", "ndcg_at_10")
RESAMPLES, FEWEST_RESAMPLES = 10_000, 100  # the protocol's, and the fewest that an experiment takes


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and return the exit status."""
    given = _parser().parse_args(arguments)
    from rag_lab import compare  # JAX takes a moment, and --help needs none of it
    from rag_lab.compare import pairing, show
    from rag_lab.experiment.summary import plain
    from rag_lab.tracking.progress import console

    first, second = given.variants or (None, None)
    try:
        found = compare.runs(
            pairing.load(given.baseline, first),
            pairing.load(given.treatment, second),
            given.metrics,
            intersect=given.intersect,
            seed=given.seed,
            resamples=given.resamples,
        )
    except RagLabError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return error.exit_status
    if given.json:
        print(json.dumps(plain(show.as_json(found)), indent=1, ensure_ascii=False))
    else:
        show.table(found, console(), given.resamples)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="Pair two runs query by query. Differences are the second's minus the first's."
    )
    parser.add_argument("baseline", metavar="BASELINE", type=Path, help="a run's folder, or an adopted copy of it")
    parser.add_argument("treatment", metavar="TREATMENT", type=Path, help="another's")
    parser.add_argument(
        "--variants", nargs=2, metavar=("OF_BASELINE", "OF_TREATMENT"), help="default: each run's treatment"
    )
    parser.add_argument(
        "--metrics", nargs="+", metavar="COLUMN", default=list(COLUMNS),
        help=f"columns of per_query.parquet (default: {' '.join(COLUMNS)})",
    )  # fmt: skip
    parser.add_argument("--intersect", action="store_true", help="compare only the queries that both runs have")
    parser.add_argument("--json", action="store_true", help="print a JSON document, not a table")
    parser.add_argument("--seed", type=_at_least(0), default=0, help="of the resampling (default: 0)")
    parser.add_argument(
        "--resamples", type=_at_least(FEWEST_RESAMPLES), default=RESAMPLES, help=f"default: {RESAMPLES}"
    )
    return parser


class _at_least:
    """A whole number from `low` on."""

    def __init__(self, low: int) -> None:
        self.low = low

    def __call__(self, text: str) -> int:
        if not text.isdigit() or int(text) < self.low:
            raise argparse.ArgumentTypeError(f"given {text}; allowed is a whole number from {self.low} on")
        return int(text)


if __name__ == "__main__":
    sys.exit(main())
