"""A study's page: one file that opens offline. What mattered, the Pareto front, values by setting and by trial.

Importance is Optuna's: PED-ANOVA (Watanabe, Bansal and Hutter 2023, IJCAI), shares that sum to 1. It holds the
best tenth of the complete trials against all, so it is left out where they are fewer than ten, or of one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from rag_lab.sweep.settings import Objective
from rag_lab.sweep.storage import quiet

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from plotly.graph_objects import Figure

HEIGHT = 420  # pixels
FEWEST = 10  # complete trials of which there is a tenth
STYLE = "body { margin: 0 auto; padding: 28px; max-width: 1120px; font: 16px/1.55 system-ui, sans-serif; }"


def page(study: Study, objectives: Sequence[Objective], storage: str) -> str:
    """The whole page; storage: where the study is kept, as it may be shown."""
    from plotly.offline import get_plotlyjs  # five megabytes: read only where a page is written

    trials = study.get_trials(deepcopy=False)
    title = escape(f"Study {study.study_name}")
    with quiet():
        drawn = "".join(f"<h2>{escape(head)}</h2>\n{_draw(one)}\n" for head, one in _figures(study, objectives))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
<h1>{title}</h1>
<p>{len(trials)} trials, kept in {escape(storage)}. Objectives: {escape(", ".join(map(" ".join, objectives)))}.</p>
{drawn or "<p>No trial is complete.</p>"}
</body>
</html>
"""


def _draw(figure: Figure) -> str:
    figure.update_layout(height=HEIGHT, template="plotly_white", title=None, margin={"t": 30})
    html: str = figure.to_html(include_plotlyjs=False, full_html=False)
    return html


def _figures(study: Study, objectives: Sequence[Objective]) -> Iterator[tuple[str, Figure]]:
    """The figures that the trials suffice for, with their titles: Optuna's own."""
    from optuna import visualization as draw

    complete = [one for one in study.get_trials(deepcopy=False) if one.state.name == "COMPLETE"]
    if not complete:
        return
    if len(objectives) in (2, 3):
        yield "Pareto front", draw.plot_pareto_front(study, target_names=[one.metric for one in objectives])
    for index, objective in enumerate(objectives):
        name, value = objective.metric, None if len(objectives) == 1 else _value(index)
        if len({one.values[index] for one in complete}) > 1 and len(complete) >= FEWEST:
            # Given a target, Optuna takes low for good.
            sign = -1 if objective.direction == "maximize" else 1
            matter = draw.plot_param_importances(study, target=_value(index, sign), target_name=name)
            yield f"What mattered for {name}", matter
        yield f"{name} by setting", draw.plot_slice(study, target=value, target_name=name)
        yield f"{name} by trial", draw.plot_optimization_history(study, target=value, target_name=name)


def _value(index: int, sign: int = 1) -> Callable[[FrozenTrial], float]:
    """A trial's value by one objective."""
    return lambda trial: sign * float(trial.values[index])
