"""The live local page: `python -m rag_lab.dashboard`. It shows runs while they go on and when they have ended.

index      the runs below a folder, newest first       views     one run, a view at a time (live, board, speeds)
following  events.jsonl, read on as it grows           versus    two runs beside each other
measured   reports/metrics/, where a run wrote it      pictures  figures that reports do not have, of what was found
rows       per-query and decision files, summed up     courses   the same of what goes on
pairs      two runs, query by query                    parts     pieces of the page
kept       what was summed up, kept on disk            address   what is shown, as a web address
veil       what may be a secret, taken out of text     app       the page and its one callback

Between it and the runs is only the contract of a run's folder: it imports no experiment, starts none and changes
none. Whatever it computes is kept under `runs/.cache/dashboard/`, and can be thrown away. A file that is missing,
torn or older than this page costs its own section, never the page.
"""
