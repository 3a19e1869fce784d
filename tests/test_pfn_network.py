"""The network: queries do not see each other, the order of the context does not matter, the cache equals the plain pass."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tabbench.errors import UserError  # noqa: E402
from tabbench.pfn.columns import WINDOWS, describe_cells, describe_columns  # noqa: E402
from tabbench.pfn.limits import MAX_CLASSES  # noqa: E402
from tabbench.pfn.network import PFN, NetworkConfig, load_weights, matrices, save_weights  # noqa: E402
from tabbench.pfn.prior import sample_batch  # noqa: E402

TOLERANCE = 2e-5  # of logits with standard deviation about 2, fp32
N_CONTEXT = 40


TOY = NetworkConfig(width=32, n_layers=2, n_heads=2, hidden=64, n_thinking=3, cell_width=16)


@pytest.fixture(scope="module")
def network():
    generator = torch.Generator().manual_seed(0)
    toy = PFN(TOY)
    for parameter in toy.parameters():  # a fresh network is nearly the identity: give every part a say
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return toy.eval()


def draw(step, n_features=7):
    batch = sample_batch(3, step, n_tasks=2, n_rows=64, n_context=N_CONTEXT, n_features=n_features)
    return tuple(torch.from_numpy(part) for part in batch[:3])


def answer(network, x, y, categorical):
    with torch.inference_mode():
        return network(x, y[:, :N_CONTEXT], categorical)


@pytest.mark.parametrize("step", range(4))
def test_other_queries_do_not_matter(network, step):
    x, y, categorical = draw(step)
    full = answer(network, x, y, categorical)
    fewer = answer(network, torch.cat([x[:, :N_CONTEXT], x[:, 50:52]], dim=1), y, categorical)
    backwards = answer(network, torch.cat([x[:, :N_CONTEXT], x[:, N_CONTEXT:].flip(1)], dim=1), y, categorical)
    torch.testing.assert_close(fewer, full[:, 10:12], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(backwards.flip(1), full, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("step", range(4))
def test_cache_equals_the_plain_pass_in_any_pieces(network, step):
    x, y, categorical = draw(step)
    full = answer(network, x, y, categorical)
    with torch.inference_mode():
        context = network.encode_context(x[:, :N_CONTEXT], y[:, :N_CONTEXT], categorical)
        for size in (1, 7, 24):
            pieces = [network.predict(context, part) for part in x[:, N_CONTEXT:].split(size, dim=1)]
            torch.testing.assert_close(torch.cat(pieces, dim=1), full, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("voices", [(), ("linear",), ("narrow", "trees")])
def test_any_voices_or_none_are_heard(voices):
    x, y, categorical = draw(0)
    network = PFN(replace(TOY, voices=voices)).eval()
    full = answer(network, x, y, categorical)
    with torch.inference_mode():
        context = network.encode_context(x[:, :N_CONTEXT], y[:, :N_CONTEXT], categorical)
        torch.testing.assert_close(network.predict(context, x[:, N_CONTEXT:]), full, atol=TOLERANCE, rtol=0)
        alone = network.predict(context, x[:, N_CONTEXT:], voice_share=1.0)
    varied = (alone - alone[:, :1]).abs().max() > 1e-3
    assert varied == bool(voices)  # nobody tells rows apart where there are no voices


def test_voices_have_their_share_of_an_answer(network):
    x, y, categorical = draw(1)
    queries = x[:, N_CONTEXT:]
    with torch.inference_mode():
        context = network.encode_context(x[:, :N_CONTEXT], y[:, :N_CONTEXT], categorical)
        alone, voices, both = (network.predict(context, queries, share) for share in (0.0, 1.0, 0.25))
        told = context.reader.ask(queries)
    n_classes = told.answers.shape[-1]
    shares = torch.stack([(labels == torch.arange(n_classes)[:, None]).sum(1) for labels in y[:, :N_CONTEXT]]) + 0.5
    said = (told.trust[:, None, :, None] * told.answers).sum(2).exp() * (shares / shares.sum(1, keepdim=True))[:, None]
    torch.testing.assert_close(voices[..., :n_classes].exp(), said)
    assert (voices[..., n_classes:].exp() <= shares.min() / shares.sum(1).min() + 1e-6).all()  # classes that no context has
    torch.testing.assert_close(both, 0.75 * alone + 0.25 * voices)


def test_rows_that_attention_leaves_out_serve_as_evidence(network):
    x, y, categorical = draw(0)
    rows, labels, queries = x[:, :N_CONTEXT], y[:, :N_CONTEXT], x[:, N_CONTEXT:]
    with torch.inference_mode():
        few = network.encode_context(rows, labels, categorical, 10)
        assert few.vote_keys.shape[1] == few.labels.shape[1] == 10
        assert few.keys[0][0].shape[2] == network.config.n_thinking + 10
        order = torch.cat([torch.arange(10), torch.arange(10, N_CONTEXT).flip(0)])
        shuffled = network.encode_context(rows[:, order], labels[:, order], categorical, 10)
        alone = network.encode_context(rows[:, :10], labels[:, :10], categorical)
        answer, same, other = (network.predict(context, queries) for context in (few, shuffled, alone))
    torch.testing.assert_close(same, answer, atol=5 * TOLERANCE, rtol=0)
    assert (other - answer).abs().max() > 0.01


@pytest.mark.parametrize("step", range(4))
def test_order_of_the_context_does_not_matter(network, step):
    x, y, categorical = draw(step)
    order = torch.cat([torch.randperm(N_CONTEXT, generator=torch.Generator().manual_seed(step)), torch.arange(N_CONTEXT, 64)])
    full = answer(network, x, y, categorical)
    again = answer(network, x[:, order], y[:, order], categorical)
    torch.testing.assert_close(again, full, atol=5 * TOLERANCE, rtol=0)  # the kernel's Cholesky factor rounds in another order


def test_labels_and_values_of_the_context_matter(network):
    x, y, categorical = draw(0)
    full = answer(network, x, y, categorical)
    assert (answer(network, x, (y + 1) % 2, categorical) - full).abs().max() > 0.01
    assert (answer(network, x.roll(1, dims=1), y, categorical) - full).abs().max() > 0.01


def test_scale_and_offset_of_a_column_do_not_matter(network):
    x, y, categorical = draw(1)
    moved = torch.where(categorical[:, None], x, 8 * x - 16)  # powers of two: the ranks stay what they are
    torch.testing.assert_close(answer(network, moved, y, categorical), answer(network, x, y, categorical), atol=1e-3, rtol=0)


def test_relabelling_with_relabelled_parameters_renames_the_answer():
    """Swap two classes in the data and in the parameters that carry classes: the logits swap."""
    x, y, categorical = draw(2)
    y = torch.from_numpy(np.random.default_rng(0).integers(0, 3, y.shape))
    toy = PFN(TOY).eval()
    full = answer(toy, x, y, categorical)
    swap = torch.arange(MAX_CLASSES + 1)
    swap[[0, 2]] = torch.tensor([2, 0])
    with torch.no_grad():
        toy.embed_label.weight.copy_(toy.embed_label.weight[swap].clone())
        for parameter in (toy.head[2].weight, toy.head[2].bias):
            parameter.copy_(parameter[swap[:MAX_CLASSES]].clone())
    renamed = answer(toy, x, swap[y], categorical)
    torch.testing.assert_close(renamed[..., swap[:MAX_CLASSES]], full, atol=TOLERANCE, rtol=0)


def brute_evidence(x, y, row, column, own, categorical):
    """Evidence of one cell of the context by its definition, for a column without missing values; narrow window then wide."""
    values, n = x[:, column], len(x)
    shares = np.bincount(y, minlength=MAX_CLASSES) + 0.5
    shares = shares / shares.sum()
    out = []
    for width in (int(np.ceil(np.sqrt(n) / 2)), int(np.ceil(n / 10))):
        low, high = np.sum(values < values[row]), np.sum(values <= values[row])
        reach = 0 if categorical else width
        order = np.sort(values)
        near = [
            i
            for i in range(n)
            if max(0, low - reach) <= np.sum(values < values[i]) and np.sum(values <= values[i]) <= min(n, high + reach)
        ]
        assert len(order) == n
        counts = np.bincount(y[near], minlength=MAX_CLASSES) - (np.eye(MAX_CLASSES)[y[row]] if own else 0)
        out.append(np.log((counts + 4 * shares) / (counts.sum() + 4) / shares))
    return np.stack(out)


@pytest.mark.parametrize("categorical", [False, True])
def test_evidence_is_what_its_definition_says(categorical):
    rng = np.random.default_rng(4)
    x = np.stack([rng.normal(size=50), rng.integers(0, 6, 50)], axis=1).astype(np.float32)
    y = rng.integers(0, 3, 50)
    flags = torch.tensor([[categorical, categorical]])
    columns = describe_columns(torch.from_numpy(x)[None], torch.from_numpy(y)[None], flags, MAX_CLASSES)
    _, own = describe_cells(torch.from_numpy(x)[None], columns, torch.from_numpy(y)[None])
    _, other = describe_cells(torch.from_numpy(x)[None], columns)
    assert own.shape == (1, 50, 2, WINDOWS, MAX_CLASSES)
    for row in (0, 7, 33):
        for column in (0, 1):
            for cells, itself in ((own, True), (other, False)):
                expected = brute_evidence(x, y, row, column, itself, categorical)
                np.testing.assert_allclose(cells[0, row, column].numpy(), np.maximum(expected, np.log(1e-4)), atol=1e-4)


def test_hostile_columns_give_finite_answers(network):
    x, y, categorical = draw(0)
    x[..., 0], x[..., 1], x[0, 3, 2], x[:, N_CONTEXT:, 3] = float("nan"), 7.0, 1e30, float("nan")
    categorical[:, 4] = True
    x[:, N_CONTEXT:, 4] = 99.0  # a level the context never saw
    assert torch.isfinite(answer(network, x, y, categorical)).all()
    one_class = answer(network, x, torch.zeros_like(y), categorical)
    assert torch.isfinite(one_class).all()


def test_weights_survive_the_file(tmp_path):
    network = PFN(TOY)
    save_weights(network, tmp_path / "w.safetensors", {"tasks": "5"})
    again = load_weights(tmp_path / "w.safetensors")
    assert again.config == network.config
    for (name, a), (_, b) in zip(network.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("content", [None, b"", b"not weights", b"\x10" + b"\0" * 30])
def test_bad_weights_files_are_refused(content, tmp_path):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"w\.safetensors") as caught:
        load_weights(path)
    assert "\n" not in str(caught.value)


def test_cut_and_foreign_weights_files_are_refused(tmp_path):
    from safetensors.torch import save_file

    network = PFN(TOY)
    save_weights(network, tmp_path / "w.safetensors", {})
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    save_file({"a": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    save_file(network.state_dict(), tmp_path / "earlier.safetensors", {"config": '{"width": 96}'})
    for name in ("cut", "foreign", "earlier"):
        with pytest.raises(UserError, match=name):
            load_weights(tmp_path / f"{name}.safetensors")


def test_matrices_are_the_two_dimensional_weights_of_the_layers_over_rows():
    names = [name for name, _ in matrices(PFN(TOY))]
    assert len(names) == 2 * (3 + 2)  # per layer: query, key and value, out; two in the MLP
    assert all(name.startswith("layers.") for name in names)


def test_a_table_among_tables_with_more_classes_gets_the_answer_it_gets_alone():
    """The classes that only another table of the batch has are no evidence."""
    x, y, categorical = draw(0)
    y[0], y[1] = y[0] % 2, torch.arange(y.shape[1]) % 5
    toy = PFN(TOY).eval()
    both, alone = answer(toy, x, y, categorical), answer(toy, x[:1], y[:1], categorical[:1])
    torch.testing.assert_close(both[:1, :, :2].softmax(-1), alone[..., :2].softmax(-1), atol=0.05, rtol=0)


def test_products_in_bf16_change_little():
    x, y, categorical = draw(1)
    torch.manual_seed(0)
    toy = PFN(TOY).eval()
    full = answer(toy, x, y, categorical)
    halved = answer(toy.to(torch.bfloat16), x, y, categorical)
    assert halved.dtype == torch.float32
    torch.testing.assert_close(halved, full, atol=0.1, rtol=0)
    assert (halved - full).abs().mean() < 0.02
