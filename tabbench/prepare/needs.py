"""Needs: in which form a model takes a table."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Needs:
    """What a model must be given; `preprocess.Preprocessor` sees to it, fitted on the training rows.

    categories : "native" (a frame of float64 and `category` columns), "ordinal" (float codes), "onehot" (0/1 columns).
    scaled : numeric columns are standardised.
    complete : no missing value is left. impute : what replaces a missing number then.
    gpu : on a cluster its jobs go to workers that are labelled with a GPU; on one machine it is the model's own affair.
    """

    categories: Literal["native", "ordinal", "onehot"] = "onehot"
    scaled: bool = True
    complete: bool = True
    impute: Literal["median", "mean"] = "median"
    gpu: bool = False
