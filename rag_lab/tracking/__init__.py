"""Where runs are recorded: `jsonl` (events, always on) and `mlflow` (a run, with a child per variant).

`tracker` says what an experiment asks of a tracker. MLflow is imported only while its tracker works.
"""
