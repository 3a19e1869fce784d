from tabbench.api import run as run
from tabbench.errors import UserError as UserError
from tabbench.folders.results import Results as Results
from tabbench.pfn.classifier import PFNClassifier as PFNClassifier

__version__: str
