"""The prior-data fitted network: prior, network, trainer, classifier."""
