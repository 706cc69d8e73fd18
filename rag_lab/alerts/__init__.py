"""Whether a run got worse than the runs before it, and who is told.

rule      what is watched, and what was found
runs      latency and throughput: a run against the spread between runs
queries   quality: paired, query by query
judging   all rules of one run, corrected together
ledger    alerts.jsonl: what rang, so that nothing rings twice
webhook   the channel to elsewhere
standing  alert=standing
none      alert=none

A change must be significant after correction over the rules, and larger than the rule's effect, before it rings.
"""
