"""The names of what is recorded. In files they stand as they are; Prometheus puts `rag_lab_` before and a unit or
`_total` behind (`exporter`).

Labels are few and bounded: a variant, a level, a kind of error, a layer of the cache; never a query or a text.
"""

from __future__ import annotations

# Levels, of which there is a latency each. e2e: from question to answer. filter and learn: what feedback takes after
# it; learn holds the filter and the policy's update. The rest are parts of e2e.
L1, L2, L3, L4, CACHE, E2E, FILTER, LEARN = "l1", "l2", "l3", "l4", "cache", "e2e", "filter", "learn"
LEVELS = (L1, L2, L3, L4, CACHE, E2E, FILTER, LEARN)

# Counters, with their labels.
QUERIES = "queries"  # variant
FEEDBACK = "feedback"  # variant: items heard
ERRORS = "errors"  # where, kind
CACHE_REQUESTS = "cache_requests"  # variant, layer, outcome
API_CALLS = "api_calls"  # what
TOKENS = "tokens"  # what, direction
COST_USD = "cost_usd"  # what
WORK = "work"  # what, unit: units of the progress bars
WORK_S = "work_s"  # what, unit: the seconds that they took

# Gauges.
IN_FLIGHT = "in_flight"  # queries asked and not answered yet
QUEUE_DEPTH = "queue_depth"  # questions that wait for a batch

HIT, MISS = "hit", "miss"
LAYERS = {"embeddings": "embedding", "evidence": "evidence", "explanations": "answer"}  # of the cache: what it holds
OTHER = "other"  # the value of every label beyond the bound
