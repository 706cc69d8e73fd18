"""What is remembered between queries, in which layer, for how long.

From the bottom up: a *store* keeps bytes by key for a time (`memory`, `server`, and `guarded`, which is a server
with memory to fall back on); `keys` and `codec` say under which key and in which bytes; a *layer* (`layers`) adds
times, counters and single flight; a *cache* is the three layers over one store, and what a variant opens. Above it
the *semantic* layer (`gate`, `promise`, `neighbours`), off unless configured and calibrated, lets a new question
borrow what a near one found.
"""
