"""What a finished run looks like: in the terminal, on its own page, and in reports/.

run       reads a run's folder                          terminal  the table shown when a run ends
wording   numbers and verdicts as words                 page      report.html, one file, opens offline
style     one colour, mark and dash per variant         tables    its tables
panels    where small multiples stand                   markdown  reports/<experiment>.md
marks     lines, bands and points in a panel            adopt     runs/reference/<experiment>/<NAME>/
figures   what a run found                              picture   a screenshot of the page
learning  how learners learn
shaken    what noise, drift and logs do to them
arms      what each α is worth, and believed to be worth
benchmark a benchmark's cells as table and picture
speed     latencies, detection, the filter, caches: sheets and pictures (speed_figures, caching)
sheet     a table that terminal, page and Markdown render alike

Everything here only reads `summary.json`, `curves.json`, `resolved.yaml` and `data_card.md`; nothing is
measured, and a number that a run did not write is shown as "not measured".
"""
