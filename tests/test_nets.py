import re
import tempfile
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest

import tabbench
from tabbench.data.split import Split
from tabbench.data.task import Task
from tabbench.engine.execute import execute
from tabbench.engine.sandbox import stop_server
from tabbench.engine.scoring import reason_unsupported
from tabbench.job import Job
from tabbench.models import MODELS, load_models, missing_imports
from tabbench.prepare.preprocess import Preprocessor
from tabbench.resources import Resources
from tabbench.testing import REQUIREMENTS, require


def absent(name):
    missing = missing_imports(MODELS[name])
    return pytest.mark.skipif(bool(missing), reason=f"{' '.join(missing)} not installed")


torch = pytest.importorskip("torch")
from tabbench.models.nets.trainer import Columns, NetClassifier, Network, Recipe  # noqa: E402 - it imports torch

load_models()
OURS = [name for name, entry in MODELS.items() if "tabbench.models.nets.trainer" in entry.imports]
GUESTS = ["realmlp", "xrfm"]
NETS = [*OURS, *(pytest.param(name, marks=absent(name)) for name in GUESTS)]


def fitted(name, X, y, **config):
    entry = MODELS[name]
    preprocessor = Preprocessor(entry.needs).fit(X)
    few = {"max_epochs": 2} if "max_epochs" in entry.defaults else {}
    return entry.build(seed=1, threads=1, **few, **config).fit(preprocessor.transform(X), y), preprocessor


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    return frame.assign(d=pd.Categorical(rng.choice(list("xyz"), n))), np.arange(n) % 3


def test_all_of_tabzilla_and_five_of_later_years_are_there():
    tabzilla = "rtdl_mlp resnet ft_transformer saint node tabnet tabtransformer danet stg vime nam deepfm".split()
    assert {*OURS, *GUESTS} == {*tabzilla, "tabm", "modernnca", "mlp_plr", *GUESTS}
    assert set(GUESTS) < set(MODELS)


CACHES = (
    "torchinductor_",
    ".config",
    ".cache",
    "matplotlib",
    "fontlist",
)  # torch's and Matplotlib's, made when they are imported


@pytest.mark.parametrize("name", NETS)
def test_the_same_seed_gives_the_same_bytes_and_a_row_stands_alone(name, tmp_path, monkeypatch):
    for module in MODELS[name].imports:
        import_module(module)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    X, y = table()
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    (one, prepare), (two, _) = fitted(name, X, y), fitted(name, X, y)
    test = prepare.transform(table(20, seed=1)[0])
    proba = one.predict_proba(test)
    assert proba.tobytes() == two.predict_proba(test).tobytes()
    alone = np.vstack([one.predict_proba(test[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, proba[:5], atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", OURS)
def test_every_net_of_ours_has_its_curve(name):
    net, _ = fitted(name, *table())
    assert [point.step for point in net.curve_] == [1, 2]
    assert all(np.isfinite(point.loss) for point in net.curve_)
    assert 0 <= net.curve_[0].seconds <= net.curve_[1].seconds


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
def test_a_table_of_gaps_alone_is_answered_by_the_shares_of_its_classes(name):
    X = pd.DataFrame({"a": [np.nan] * 20, "b": pd.Categorical([None] * 20, ["x"])})
    task = Task("gaps", X, np.arange(20) % 4 // 3, ("no", "yes"))
    run = execute(Job("gaps", "0", 0, 0, "0", name), task, Split(0, 0, np.arange(16), np.arange(16, 20)))
    assert run.status == "ok", run.reason
    np.testing.assert_allclose(run.proba, [[0.75, 0.25]] * 4)


@pytest.mark.parametrize("name", NETS)
def test_2000_columns_are_answered_or_refused_in_a_line(name):
    X, y = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 2000))), np.arange(12) % 2
    split = Split(0, 0, np.arange(12), np.arange(12))
    reason = reason_unsupported(Job("wide", "0", 0, 0, "0", name), Task("wide", X, y, ("no", "yes")), split)
    limit = MODELS[name].limits.features
    if reason is None:
        net, prepare = fitted(name, X, y)
        assert np.isfinite(net.predict_proba(prepare.transform(X))).all()
    else:
        assert reason == f"2000 features exceed the limit of {limit}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_every_net_meets_every_requirement_after_one_epoch(name, monkeypatch):
    entry = MODELS[name]
    if "max_epochs" in entry.defaults:
        monkeypatch.setitem(MODELS._entries, name, replace(entry, build=partial(entry.build, max_epochs=1)))
    assert [said for requirement in REQUIREMENTS if (said := unmet(name, requirement))] == []


def unmet(name, requirement):
    try:
        require(name, requirement)
    except AssertionError as reason:
        return str(reason)


@pytest.mark.slow
def test_every_net_is_well_on_smoke_and_leaves_no_file(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    for what in ("TMPDIR", "HOME"):
        monkeypatch.setenv(what, str(home))
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(home)
    stop_server()  # it has the environment of earlier tests
    names = [*OURS, *(name for name in GUESTS if not missing_imports(MODELS[name]))]
    frame = tabbench.run(suite="smoke", models=names, holdout=0.3, out=tmp_path / "out", resources=Resources(workers=2)).frame
    assert len(frame) == 3 * len(names)
    assert set(frame["status"]) == {"ok"}
    assert [path.name for path in home.rglob("*") if not path.name.startswith(CACHES)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limits", "status"),
    [("ft_transformer", Resources(time_limit=20.0), "timeout"), ("saint", Resources(memory_limit=900.0), "memory")],
)
def test_a_net_beyond_a_limit_is_ended_and_nothing_else_suffers(tmp_path, name, limits, status):
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(3000, 190))).add_prefix("x").assign(y=rng.integers(0, 2, 3000))
    frame = tabbench.run(data=data, target="y", models=[name, "dummy"], folds=2, out=tmp_path / "out", resources=limits).frame
    assert frame.groupby("model")["status"].unique().map(list).to_dict() == {name: [status], "dummy": ["ok"]}


class Spy(Network):
    """Logistic regression that notes for how many rows, and in which mode, it was asked."""

    def __init__(self, columns, n_classes):
        super().__init__()
        self.linear, self.asked = torch.nn.Linear(columns.n_numbers, n_classes), []

    def forward(self, numbers, codes):
        self.asked.append((len(numbers), self.training))
        return self.linear(numbers)


def test_validation_is_in_evaluation_mode_with_patience_and_the_best_epoch_is_kept():
    rng = np.random.default_rng(0)
    X, y, X_val, y_val = rng.normal(size=(64, 30)), np.arange(64) % 2, rng.normal(size=(17, 30)), np.arange(17) % 2
    net = NetClassifier(Spy, {}, Recipe(learning_rate=0.05, max_epochs=100)).fit(X, y, (X_val, y_val), patience=4)
    assert {mode for n, mode in net.net_.asked if n == 17} == {False}
    assert {mode for n, mode in net.net_.asked if n == 32} == {True}
    losses = [point.loss for point in net.curve_]
    assert len(losses) < 100
    assert int(np.argmin(losses)) == len(losses) - 5
    assert -np.log(net.predict_proba(X_val)[np.arange(17), y_val]).mean() == pytest.approx(min(losses), rel=1e-5)


def test_even_batches_differ_by_a_row_at_most():
    X, y = np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2
    sizes = {}
    for even in (False, True):
        net = NetClassifier(Spy, {}, Recipe(max_epochs=1, batch_sizes=(64, 64), even=even)).fit(X, y, (X, y))
        sizes[even] = [n for n, training in net.net_.asked if training]
    assert sizes == {False: [64, 64, 64, 8], True: [50, 50, 50, 50]}


def test_batches_are_smaller_where_pairs_of_many_columns_are_looked_at():
    rng, sizes = np.random.default_rng(0), {}
    for n_columns, pairs in product((64, 128, 2000), (False, True)):
        X, y = rng.normal(size=(256, n_columns)), np.arange(256) % 2
        recipe = Recipe(max_epochs=1, batch_sizes=(256, 256), pairs=pairs)
        net = NetClassifier(Spy, {}, recipe).fit(X, y, (X, y))
        sizes[n_columns, pairs] = net.net_.asked[0][0]
    assert sizes == {(64, False): 256, (64, True): 256, (128, False): 256, (128, True): 64, (2000, False): 256, (2000, True): 16}


def test_wide_tables_are_predicted_in_small_parts():
    X = np.random.default_rng(0).normal(size=(400, 256))
    net = NetClassifier(Spy, {}, Recipe(max_epochs=1)).fit(X[:50], np.arange(50) % 2)
    net.net_.asked.clear()
    whole = net.predict_proba(X)
    assert [n for n, _ in net.net_.asked] == [256, 144]  # a sixteenth of 4,096
    np.testing.assert_allclose(np.vstack([net.predict_proba(X[:7]), net.predict_proba(X[7:])]), whole, atol=1e-6)


@pytest.mark.parametrize("name", ["nam", "deepfm"])
def test_more_than_two_classes_are_learned(name):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 4)))
    y = np.digitize(X[0], [-0.7, 0.0, 0.7])
    entry = MODELS[name]
    prepare = Preprocessor(entry.needs).fit(X)
    net = entry.build(seed=0, threads=1, max_epochs=60).fit(prepare.transform(X[:300]), y[:300])
    assert (net.predict(prepare.transform(X[300:])) == y[300:]).mean() > 0.7


def test_the_learning_rate_falls_where_a_recipe_says_so(monkeypatch):
    rates, step = [], torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self)) and None)
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2
    recipe = Recipe(learning_rate=0.1, max_epochs=41, rate_factor=0.5)
    NetClassifier(Spy, {}, recipe).fit(X, y, (X, y), patience=100)
    assert [rates[epoch] for epoch in (0, 19, 20, 40)] == [0.1, 0.1, 0.05, 0.025]


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
    assert [point.loss for point in net.curve_] == curve
    assert [point.step for point in net.curve_] == [1, 2, 3]


def copied(ours, theirs, names):
    """Give `theirs` the weights of `ours`, whose names become theirs by these replacements, one after the other."""
    state = {}
    for name, tensor in ours.state_dict().items():
        for pattern, put in names:
            name = re.sub(pattern, put, name)
        state[name] = tensor.clone()
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(re.match(r"initial_bn|.*shared_layers", name) for name in missing), missing  # unused, or another name of a weight


NO_CODES = torch.zeros(9, 0, dtype=torch.int64)


def test_resnet_is_that_of_its_authors():
    rtdl = pytest.importorskip("rtdl_revisiting_models", reason="oracle rtdl_revisiting_models not installed")
    from tabbench.models.nets.resnet import ResNet

    ours = ResNet(Columns(5, ()), 3, 2, 16, 32, (0.2, 0.1), 4)
    theirs = rtdl.ResNet(
        d_in=5, d_out=3, n_blocks=2, d_block=16, d_hidden=None, d_hidden_multiplier=2.0, dropout1=0.2, dropout2=0.1
    )
    with torch.no_grad():
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            b.copy_(a)
    x = torch.randn(9, 5)
    torch.testing.assert_close(ours.eval()(x, NO_CODES), theirs.eval()(x))


def test_rtdl_mlp_is_that_of_its_authors():
    rtdl = pytest.importorskip("rtdl_revisiting_models", reason="oracle rtdl_revisiting_models not installed")
    from tabbench.models.nets.mlp import RtdlMLP

    ours = RtdlMLP(Columns(5, ()), 3, (16, 16), 0.1, 4)
    theirs = rtdl.MLP(d_in=5, d_out=3, n_blocks=2, d_block=16, dropout=0.1)
    copied(ours, theirs, [(r"^layers\.6", "output"), (r"^layers\.3", "blocks.1.linear"), (r"^layers\.0", "blocks.0.linear")])
    x = torch.randn(9, 5)
    torch.testing.assert_close(ours.eval()(x, NO_CODES), theirs.eval()(x))


def test_ft_transformer_is_that_of_its_authors():
    """Their categories have a bias a column, too, which adds nothing; here it is zero."""
    rtdl = pytest.importorskip("rtdl_revisiting_models", reason="oracle rtdl_revisiting_models not installed")
    from tabbench.models.nets.ft_transformer import FTTransformer

    ours = FTTransformer(Columns(5, (3,)), 3, 3, 16, 4, (0.2, 0.1))
    theirs = rtdl.FTTransformer(
        n_cont_features=5,
        cat_cardinalities=[4],
        d_out=3,
        n_blocks=3,
        d_block=16,
        attention_n_heads=4,
        attention_dropout=0.2,
        ffn_d_hidden_multiplier=4 / 3,
        ffn_dropout=0.1,
        residual_dropout=0.0,
    )
    ours.register_buffer("no_bias", torch.zeros(1, 16))
    names = [
        (r"^no_bias", "cat_embeddings.bias"),
        (r"^tokens\.embedding\.table", "cat_embeddings.embeddings.0"),
        (r"^tokens", "cont_embeddings"),
        (r"^cls", "cls_embedding.weight"),
        (r"^last\.0", "output.normalization"),
        (r"^last\.2", "output.linear"),
        (r"^blocks", "backbone.blocks"),
        (r"^output", "backbone.output"),
        (r"\.norm\.", ".attention_normalization."),
        (r"feed\.0", "ffn_normalization"),
        (r"feed\.1", "ffn.linear1"),
        (r"feed\.4", "ffn.linear2"),
        (r"query", "W_q"),
        (r"key", "W_k"),
        (r"value", "W_v"),
        (r"attention\.out", "attention.W_out"),
    ]
    copied(ours, theirs, names)
    x, codes = torch.randn(9, 5), torch.arange(9).unsqueeze(1) % 3 + 1
    torch.testing.assert_close(ours.eval()(x, codes), theirs.eval()(x, codes))


@pytest.mark.parametrize("mask", ["sparsemax", "entmax"])
def test_tabnet_is_that_of_pytorch_tabnet(mask):
    """In training, with batch norms over parts of a batch, and in evaluation."""
    tab_network = pytest.importorskip("pytorch_tabnet.tab_network", reason="oracle pytorch-tabnet not installed")
    from tabbench.models.nets.tabnet import TabNet

    ours = TabNet(Columns(5, ()), 3, 8, 3, 1.5, 2, 2, 2, 0.1, mask, 1e-3)
    theirs = tab_network.TabNetNoEmbeddings(
        5, 3, n_d=8, n_a=8, n_steps=3, gamma=1.5, n_independent=2, n_shared=2, momentum=0.1, mask_type=mask
    )
    names = [
        (r"^last", "final_mapping"),
        (r"^attention\.(\d)\.0", r"encoder.att_transformers.\1.fc"),
        (r"^attention\.(\d)\.1", r"encoder.att_transformers.\1.bn.bn"),
        (r"^first", "encoder.initial_splitter"),
        (r"^steps", "encoder.feat_transformers"),
        (r"^norm", "encoder.initial_bn"),
        (r"layers\.([01])\.", r"shared.glu_layers.\1."),
        (r"layers\.2\.", "specifics.glu_layers.0."),
        (r"layers\.3\.", "specifics.glu_layers.1."),
        (r"\.linear\.", ".fc."),
        (r"(layers\.\d)\.norm\.", r"\1.bn.bn."),
    ]
    copied(ours, theirs, names)
    x = torch.randn(200, 5)
    codes = torch.zeros(200, 0, dtype=torch.int64)
    for _ in range(2):
        (logits, entropy), (expected, minus_entropy) = ours.steps_and_entropy(x, codes), theirs(x)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(entropy, -minus_entropy, rtol=1e-4, atol=1e-5)
        ours.eval(), theirs.eval()


def test_tabm_is_that_of_its_authors():
    tabm = pytest.importorskip("tabm", reason="oracle tabm not installed")
    from tabbench.models.nets.tabm import TabM

    ours = TabM(Columns(5, ()), 3, 4, 2, 16, 0.1, 8)
    theirs = tabm.TabM.make(n_num_features=5, d_out=3, n_blocks=2, d_block=16, k=4)
    with torch.no_grad():
        for scale in ours.parameters():
            scale.add_(0.1 * torch.randn(scale.shape))
    names = [(r"^heads", "output.weight"), (r"^biases", "output.bias"), (r"^layers\.(\d)", r"backbone.blocks.\1.0")]
    copied(ours, theirs, names)
    x = torch.randn(9, 5)
    torch.testing.assert_close(ours.eval().members(x, NO_CODES), theirs.eval()(x))


def test_trees_of_node_are_those_of_a_loop():
    """Over trees and leaves (equations 2 and 3 of the paper); a leaf's number has a bit for each split, 0 for right."""
    from tabbench.models.nets.node import Trees
    from tabbench.models.nets.sparse import entmax15, entmoid15

    trees = Trees(4, 3, 5, 2).double()
    with torch.no_grad():
        trees.threshold.normal_(), trees.log_scale.normal_()
    x = torch.randn(7, 4, dtype=torch.float64)
    choice = entmax15(trees.choice).view(3, 5, 4)
    for tree in range(3):
        expected = torch.zeros(7, 2, dtype=torch.float64)
        sides = [
            entmoid15((x @ choice[tree, i] - trees.threshold[tree, i]) * torch.exp(-trees.log_scale[tree, i])) for i in range(5)
        ]
        for leaf, bits in enumerate(product((0, 1), repeat=5)):
            order = [1, 0, 4, 3, 2]  # of bits: the last split of a half has the highest of the half
            weight = torch.ones(7, dtype=torch.float64)
            for bit, split in zip(bits, order, strict=True):
                weight = weight * (1 - sides[split] if bit else sides[split])
            expected = expected + weight.unsqueeze(1) * trees.leaves[tree, leaf]
        torch.testing.assert_close(trees(x)[:, tree], expected)


def test_rows_of_saint_look_at_rows_as_in_a_loop():
    """Over rows and heads (section 3 of the paper): in training at their batch, in evaluation at the context and themselves."""
    from tabbench.models.nets.saint import ROW_WIDTH, RowAttention

    layer = RowAttention(6, 2, 0.0).double()
    x, context = torch.randn(5, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    q, k, v = layer.qkv(layer.norm(torch.cat([x, context]))).view(9, 3, 2, ROW_WIDTH).unbind(1)
    for others in (None, context):
        rows = []
        for row in range(5):
            seen = range(5) if others is None else [5, 6, 7, 8, row]
            scores = [torch.stack([q[row, head] @ k[one, head] for one in seen]) / ROW_WIDTH**0.5 for head in range(2)]
            weights = [torch.softmax(score, dim=0) for score in scores]
            said = [sum(w * v[one, head] for w, one in zip(weights[head], seen, strict=True)) for head in range(2)]
            rows.append(x[row] + layer.out(torch.cat(said)))
        expected = torch.stack([row + layer.feed(row) for row in rows])
        torch.testing.assert_close(layer(x, others), expected)


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
