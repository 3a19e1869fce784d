from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from tabbench.models import MODELS, load_models
from tabbench.prepare.preprocess import Preprocessor

torch = pytest.importorskip("torch")
load_models()
NETS = [name for name, entry in MODELS.items() if "tabbench.models.nets.trainer" in entry.imports]


def fitted(name, X, y, **config):
    entry = MODELS[name]
    preprocessor = Preprocessor(entry.needs).fit(X)
    return entry.build(seed=1, threads=1, max_epochs=2, **config).fit(preprocessor.transform(X), y), preprocessor


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    return frame.assign(d=pd.Categorical(rng.choice(list("xyz"), n))), np.arange(n) % 3


def test_all_of_tabzilla_and_three_of_later_years_are_there():
    assert set(NETS) == set(
        "rtdl_mlp resnet ft_transformer saint node tabnet tabtransformer danet stg vime nam deepfm tabm modernnca mlp_plr".split()
    )


@pytest.mark.parametrize("name", NETS)
def test_the_same_seed_gives_the_same_bytes_and_a_row_stands_alone(name):
    X, y = table()
    (one, prepare), (two, _) = fitted(name, X, y), fitted(name, X, y)
    test = prepare.transform(table(20, seed=1)[0])
    proba = one.predict_proba(test)
    assert proba.tobytes() == two.predict_proba(test).tobytes()
    assert len(one.curve_) == 2
    alone = np.vstack([one.predict_proba(test[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, proba[:5], atol=1e-5)


def awkward():
    X, y = table(20)
    yield "one row", X[:1], y[:1]
    yield "one class", X, y * 0
    yield "constant column", X.assign(a=1.0), y
    yield "missing everywhere", X.assign(a=np.nan, b=X["b"].where(X["b"] > 0), d=pd.Categorical([None] * 20)), y
    yield "categories alone", X[["d"]], y
    yield "extreme values", X.assign(a=np.where(np.arange(20) == 3, 1e30, X["a"])), y
    levels = pd.Categorical([f"l{i}" for i in range(200)] * 2)
    yield "200 levels", pd.DataFrame({"a": np.arange(400.0), "d": levels}), np.arange(400) % 2


@pytest.mark.parametrize("name", NETS)
def test_awkward_tables_are_answered(name):
    for what, X, y in awkward():
        net, prepare = fitted(name, X, y)
        new = X.assign(d=pd.Categorical(["unseen"] * len(X))) if "d" in X else X
        for rows in (X, new):
            proba = net.predict_proba(prepare.transform(rows))
            assert proba.shape == (len(X), len(np.unique(y))), what
            assert np.isfinite(proba).all(), what


@pytest.mark.parametrize("name", NETS)
def test_2000_columns_are_answered_or_beyond_the_limit(name):
    limit = MODELS[name].limits.features
    if limit is None or limit >= 2000:
        X = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 2000)))
        net, prepare = fitted(name, X, np.arange(12) % 2)
        assert np.isfinite(net.predict_proba(prepare.transform(X))).all()


def test_mlp_is_what_it_was_before_the_trainer():
    """Against the same network written with bare tensors, to the bit at one thread."""
    from torch.nn import functional as F

    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(200, 7)), np.arange(200) % 3
    X_val, y_val = rng.normal(size=(50, 7)), np.arange(50) % 3
    net = MODELS["mlp"].build(seed=5, threads=1, max_epochs=3)
    net.fit(X, y, (X_val, y_val), 20)
    before, generator = torch.get_num_threads(), torch.Generator().manual_seed(5)
    torch.set_num_threads(1)
    sizes = [7, 256, 256, 256, 3]
    pairs = list(pairwise(sizes))
    layers = [(torch.randn(b, a, generator=generator) * (2 / a) ** 0.5, torch.zeros(b)) for a, b in pairs]
    layers[-1][0].mul_(0.1)
    parameters = [t.requires_grad_() for layer in layers for t in layer]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2, fused=True)

    def forward(x, train):
        x = 3 * torch.tanh(x / 3)
        for w, b in layers[:-1]:
            x = F.gelu(F.linear(x, w, b))
            x = x * (torch.rand(x.shape, generator=generator) >= 0.1) / 0.9 if train else x
        return F.linear(x, *layers[-1])

    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    curve = []
    for _ in range(3):
        for rows in torch.randperm(200, generator=generator).split(32):
            optimizer.zero_grad()
            F.cross_entropy(forward(inputs[rows], True), targets[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            curve.append(float(F.cross_entropy(forward(torch.tensor(X_val, dtype=torch.float32), False), torch.tensor(y_val))))
    torch.set_num_threads(before)
    assert net.curve_ == curve


def copied(ours, theirs):
    with torch.no_grad():
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            b.copy_(a)
    ours.eval(), theirs.eval()


def test_resnet_is_that_of_its_authors():
    rtdl = pytest.importorskip("rtdl_revisiting_models", reason="oracle rtdl_revisiting_models not installed")
    from tabbench.models.nets.resnet import ResNet
    from tabbench.models.nets.trainer import Columns

    ours = ResNet(Columns(5, ()), 3, 2, 16, 32, (0.2, 0.1), 4)
    theirs = rtdl.ResNet(
        d_in=5, d_out=3, n_blocks=2, d_block=16, d_hidden=None, d_hidden_multiplier=2.0, dropout1=0.2, dropout2=0.1
    )
    copied(ours, theirs)
    x = torch.randn(9, 5)
    torch.testing.assert_close(ours(x, torch.zeros(9, 0, dtype=torch.int64)), theirs(x))


def test_sparse_softmaxes_are_those_of_entmax():
    entmax = pytest.importorskip("entmax", reason="oracle entmax not installed")
    from tabbench.models.nets.sparse import entmax15, entmoid15, sparsemax

    x = torch.randn(50, 7, dtype=torch.float64) * 3
    for ours, theirs in ((sparsemax, entmax.sparsemax), (entmax15, entmax.entmax15)):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        torch.testing.assert_close(ours(a), theirs(b, dim=-1))
        (ours(a) * x.cos()).sum().backward()
        (theirs(b, dim=-1) * x.cos()).sum().backward()
        torch.testing.assert_close(a.grad, b.grad)
    pairs = torch.stack([x[:, 0], torch.zeros(50, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(entmoid15(x[:, 0]), entmax.entmax15(pairs, dim=-1)[:, 0])
