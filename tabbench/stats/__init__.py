"""Rank statistics on tables of scores: one row a dataset, one column a model, the dataset being the unit.

Every function takes the raw scores and `greater_is_better`; rank 1 is best. A table must be complete: decide first what a
missing score means (`tabbench.report.leaderboard` gives failures the worst rank). Nothing here knows of models or runs.
"""
