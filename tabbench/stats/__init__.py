"""Rank statistics on tables of scores: one row a dataset, one column a model, the dataset being the unit.

Functions of a table take the raw scores and `greater_is_better`; rank 1 is best. Most want it complete: decide first what a
missing score means (`failures`). Nothing here knows of models or runs.

ranks          ranks with declared ties, normalised scores, wins
significance   Friedman's test, critical differences, pairwise Wilcoxon tests
corrections    Holm, Shaffer, Bergmann–Hommel
effects        sizes of differences
bayes          sign, signed-rank and correlated t-test with a region of practical equivalence; Nadeau–Bengio
hierarchical   Bayesian comparison over datasets from the folds of each
ratings        Bradley–Terry on Elo's scale, intervals clustered by dataset
draws          resamples and shuffles that the report's page makes as well
failures       what a missing score may mean, and how much depends on it
extrapolation  learning curves carried on to full size
more_data      what more rows bring, told by the gains on other tables
"""
