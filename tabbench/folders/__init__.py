"""What is done with whole result folders: check, compare, repeat, join, pack, ask."""
