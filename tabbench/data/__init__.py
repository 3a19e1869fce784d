"""From suites and files to tasks and splits: what is learned from, checked and in normal form."""
