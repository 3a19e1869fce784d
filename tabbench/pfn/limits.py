"""What one context of the network can hold; apart, so that it can be asked without loading the network."""

MAX_ROWS = 2000  # 3,000 cost up to three times as much and gained nothing on the development datasets
MAX_CLASSES = 10
