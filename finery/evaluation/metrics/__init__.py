"""What answers are measured by: a module a metric, by its name in `evaluate.metrics`.

A module has `score(sample) -> {NUMBER: value}`, of one sample: None where the number means nothing
for it. A metric that takes something (`TAKING` in finery/params/evaluate.py) has it as `score`'s
second argument, and `prepare(taken, functions)` may make it of what params.yaml says. A dataset has
the mean over the samples that have a number, unless the module says otherwise by
`of_dataset(samples) -> {NUMBER: value}`, for samples of which each has one.
"""
