"""How far the check of support can be trusted, and the extractive generator's refusals: measured, and calibrated.

The check is held against reference answers beside evidence that supports them and evidence, or words, that do not
(`experiment.grounds`); a refusal against evidence without a relevant passage and questions without an answer.
Calibration sees train queries, everything reported is of test queries, by cluster. The document goes to
reports/groundedness/<data>.json; `calibrated` holds the numbers that conf/quality and conf/generator are given, when
the data are the packaged ones.

Shapes: N claims or cases, G signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from rag_lab import bake, wiring
from rag_lab.encoder.minilm import MiniLM
from rag_lab.encoder.shelf import Shelf
from rag_lab.experiment import grounds, summary
from rag_lab.experiment.grounds import KINDS, Grounds
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.kernels.support import Head
from rag_lab.metrics import heads, support
from rag_lab.metrics.auc import area

REPORTS = Path("reports/groundedness")
BALANCED = 0.5  # the lexical weight α that evidence for refusals is retrieved with
