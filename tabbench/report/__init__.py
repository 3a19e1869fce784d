"""Leaderboard and report, from the results table and the manifest alone."""
