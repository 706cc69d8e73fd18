"""How a run measures itself while it goes on, without anyone remembering to.

names     every metric and label, in one place
sketch    latencies as histograms of a fixed relative error, which can be added up over processes
recorder  what is recorded: latencies, counts, gauges; and `Off`, which records nothing
current   the recorder at work in this process
machine   what processor, memory and GPU do meanwhile
document  what is kept of it: the schema of reports/metrics/<timestamp>.json
files     those files: whole or absent, and removed when they are old
history   the same as Parquet, kept for good, to be queried
measuring the pipeline's two calls, recorded
exporter  the same for Prometheus, while the run goes on
grafana   the dashboard; prometheus: the rules and the server's configuration
session   one run's measurement, from its start to its end
windows   what happened between two writings, as rows for a tracker
local     telemetry=local
none      telemetry=none

It lies below the stages, so that any of them may record.
"""
