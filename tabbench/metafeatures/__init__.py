"""Metafeatures: numbers that describe the training part of a table, most of them pymfe's, by name and value.

`registry.py` says how to add one, `docs/metafeatures.md` which there are and where values differ from pymfe's.
"""
