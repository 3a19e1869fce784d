"""Engineering problems as plain formulas: designs to be optimised, and tables of designs that hold or fail."""
