"""What a finished run looks like: in the terminal, on its own page, and in reports/.

run       reads a run's folder                      terminal  the table shown when a run ends
wording   numbers and verdicts as words             page      report.html, one file, opens offline
style     one colour and one mark per variant       markdown  reports/<experiment>.md
panels    where small multiples stand               adopt     runs/reference/<experiment>/<NAME>/
figures   Plotly figures, pure functions of a run   picture   a screenshot of the page

Everything here only reads `summary.json`, `curves.json`, `resolved.yaml` and `data_card.md`; nothing is
measured, and a number that a run did not write is shown as "not measured".
"""
