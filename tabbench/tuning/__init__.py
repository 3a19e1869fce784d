"""Which configurations are tried, on which inner validation, and what is chosen among them."""
