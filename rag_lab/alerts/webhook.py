"""An alert as an HTTP POST of one JSON object. Whether it arrives changes nothing for the run."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

FIRST_WAIT_S = 0.5  # doubled from try to try


class Webhook(NamedTuple):
    """url: where to; tries: at most so many; timeout_s: of one."""

    url: str
    tries: int
    timeout_s: float

    def post(self, content: Mapping[str, Any], wait: Callable[[float], None] = time.sleep) -> str | None:
        """Send it; why it did not arrive, without the address, which may hold a secret: its host alone."""
        host = urlsplit(self.url).hostname
        if urlsplit(self.url).scheme not in ("http", "https") or host is None:
            return "the address does not begin with http:// or https://"
        why = ""
        for number in range(self.tries):
            if number:
                wait(FIRST_WAIT_S * 2 ** (number - 1))
            try:
                with urllib.request.urlopen(self._request(content), timeout=self.timeout_s):
                    return None
            except urllib.error.HTTPError as error:
                error.close()
                why = f"{host} answers {error.code}"
                if error.code < 500 and error.code != 429:  # asking again would change nothing
                    return why
            except (OSError, ValueError) as error:
                why = f"{host} does not answer: {getattr(error, 'reason', error)}"
        return why

    def _request(self, content: Mapping[str, Any]) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        return urllib.request.Request(self.url, json.dumps(content, allow_nan=False).encode(), headers, method="POST")
