"""What the page shows, as the query of its web address: it can be kept, sent on, and gone back from.

Every control of the page is a link to another address, so keyboards and screen readers need nothing of their own.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args
from urllib.parse import parse_qs, urlencode

View = Literal["overview", "targets", "quality", "learning", "latency", "queries", "log", "compare"]
VIEWS: tuple[View, ...] = get_args(View)


class Shown(NamedTuple):
    """run, other: keys of runs (see `index`), empty for none; variant: of a comparison; every: all variants."""

    run: str = ""
    view: View = "overview"
    other: str = ""
    variant: str = ""
    every: bool = False

    @property
    def href(self) -> str:
        """The address that shows it."""
        given = {
            "run": self.run,
            "view": "" if self.view == VIEWS[0] else self.view,
            "with": self.other,
            "variant": self.variant,
            "every": "1" if self.every else "",
        }
        return "/?" + urlencode({key: value for key, value in given.items() if value}, safe="/")


def parse(search: str | None) -> Shown:
    """What an address asks for; a view that does not exist is the first."""
    given = {key: values[-1] for key, values in parse_qs((search or "").lstrip("?")).items()}
    view = next((view for view in VIEWS if view == given.get("view")), VIEWS[0])
    return Shown(
        run=given.get("run", ""),
        view=view,
        other=given.get("with", ""),
        variant=given.get("variant", ""),
        every="every" in given,
    )
