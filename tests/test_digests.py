"""The shipped tables are the same to the bit as in version 0.1.0, so that result folders made then can be gone on with."""

import pytest

from tabbench.data.suite import load_spec, load_suite
from tabbench.errors import UserError

DIGESTS = {
    "iris": "dfb1363b5c7a20672eefb77cb1837829",
    "wine": "6aa2538908ad527e85860e777dae6144",
    "breast_cancer": "908b70869330594983d8c8596317735d",
    "digits": "3cff6d2c37ef9a2fa7f168398df3cc37",
    "kr_vs_kp": "1cec47eab24f2d69920d41ef22732ab6",
    "titanic": "1dbcbe75c787d11fc8c8579ce08bae0a",
    "penguins": "e080c8d4f96233e5320ed15b6a237d57",
    "zoo": "5bfc0eb0169f9227a93ab4b4919817de",
    "glass2": "c9fa039013f4d6e7517d8c752dc39286",
    "phishing": "0d4bc754c0e761bff8a6f01d6918cfad",
    "segment": "f7d8ee6fced2d5d70f126ed1e75ab4b9",
    "bananas": "e2de9f4a611dbca7d202ff3716a12ab4",
    "shuttle": "a226de34dfb3e89b536d0af3d59ea8e8",
    "arrests": "8bf3e501a4699f83c9719674d7310dda",
    "hearts": "a9446c6e74b98e437eccae849d654d9d",
    "abalone": "17bb1b786636e9a0171787a180796769",
    "ad_data": "eae28d95e4e00d1b159b70eb1b1be53d",
    "attrition": "ebeab1f4205ae586eedd0b6555ba7ea2",
    "cells": "40f84c5af40ae63507f1b5c9b2909e14",
    "credit_data": "4a451f087d87ea6005486212069ab074",
    "scat": "7d437a05025e459b8ca2a5487fd1c71f",
    "stackoverflow": "f7294cb10c96b30e297d869598629a06",
    "wa_churn": "0c8c48a7e9307b7ce4680bf154886c40",
}


@pytest.mark.parametrize("spec", load_suite("starter").tasks, ids=lambda spec: spec.name)
def test_a_shipped_table_has_the_digest_it_had(spec):
    try:
        task = load_spec(spec)
    except UserError as error:
        pytest.skip(str(error))
    assert task.digest[:32] == DIGESTS[spec.name]
