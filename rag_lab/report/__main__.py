"""`python -m rag_lab.report [--adopt RUN [--as NAME]] [--picture RUN]`: (re)writes reports/.

Reads `runs/reference/` and writes `reports/` in the working directory. A RagLabError ends it with one line
on stderr and the error's exit status.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rag_lab.errors import RagLabError
from rag_lab.report import markdown
from rag_lab.report.adopt import adopt
from rag_lab.report.picture import take

REFERENCE, REPORTS = Path("runs/reference"), Path("reports")


def main(arguments: Sequence[str] | None = None) -> int:
    """Adopt and take the picture if asked, then write reports/; return the exit status."""
    parser = argparse.ArgumentParser(prog=markdown.COMMAND, description="(Re)write reports/ from runs/reference/.")
    parser.add_argument("--adopt", metavar="RUN", type=Path, help="first copy this finished run to runs/reference/")
    parser.add_argument("--as", metavar="NAME", dest="name", help="its name there (default: its data variant)")
    parser.add_argument("--picture", metavar="RUN", type=Path, help="also take a picture of this run's report.html")
    given = parser.parse_args(arguments)
    if given.name is not None and given.adopt is None:
        parser.error("--as names an adopted run: give --adopt RUN with it")
    try:
        if given.adopt is not None:
            print(adopt(given.adopt, given.name, REFERENCE))
        if given.picture is not None:
            print(take(given.picture, REPORTS))
        if given.picture is None or REFERENCE.is_dir():
            for path in markdown.write(REFERENCE, REPORTS):
                print(path)
    except RagLabError as error:
        print(f"{markdown.COMMAND}: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
