"""What one context of the network can hold; apart, so that it can be asked without loading the network."""

MAX_ROWS = 2000  # 3,000 cost up to three times as much and gained nothing on the development datasets
ATTENDED_ROWS = 512  # of a context, others in every member; all serve as evidence
MAX_CLASSES = 10
