"""What rows are told: the same at training and at prediction, and each voice as far as it is to be trusted."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

torch = pytest.importorskip("torch")

from tabbench.pfn import evidence  # noqa: E402
from tabbench.pfn.columns import CELL_INPUTS, WINDOWS  # noqa: E402
from tabbench.pfn.evidence import GROUP, LEAST_TRUST, Voice, _trust, read_context, read_table  # noqa: E402
from tabbench.pfn.limits import ATTENDED_ROWS  # noqa: E402
from tabbench.pfn.network import PFN, NetworkConfig  # noqa: E402
from tabbench.pfn.prior import sample_batch  # noqa: E402
from tabbench.pfn.trainer import sample_lesson  # noqa: E402

SHAPE = {"n_tasks": 3, "n_rows": 60, "n_context": 40, "n_features": 7}


@pytest.fixture
def tables():
    batch = sample_batch(3, 1, **SHAPE)
    return tuple(torch.from_numpy(part) for part in batch[:3])


def oracle(strength):
    """A voice that knows the labels of the context and says so, more or less loudly; it knows nothing of other rows."""

    def fit(x, cells, told, one_hot, categorical):
        return one_hot.shape[-1], strength * (one_hot[:, :, None] - 0.5)

    return Voice(1, fit, lambda n_classes, x, cells: torch.zeros(*x.shape[:2], 1, n_classes))


def test_shapes_are_those_of_the_docstring(tables):
    x, y, categorical = tables
    n_classes = int(y.max()) + 1
    cells, answers, trust = read_table(x, y[:, :40], categorical, ["kernel"])
    assert cells.shape == (3, 60, 3, GROUP * (CELL_INPUTS + WINDOWS * n_classes))  # 7 columns: 3 triples
    assert answers.shape == (3, 60, 2, n_classes)
    assert trust.shape == (3, 2)
    assert cells[:, :, 2, CELL_INPUTS + WINDOWS * n_classes :].eq(0).all()  # the gaps of the last triple


def test_voices_are_trusted_by_their_answers(tables, monkeypatch):
    x, y, categorical = tables
    monkeypatch.setitem(evidence.VOICES, "right", oracle(3.0))
    monkeypatch.setitem(evidence.VOICES, "wrong", oracle(-3.0))
    _, told = read_context(x[:, :40], y[:, :40], categorical, ["wrong", "kernel", "right"])
    assert told.answers.shape[2] == told.trust.shape[1] == 4
    assert (told.trust[:, 3] > 0.9).all()
    assert (told.trust[:, 0] < 0.02).all()


def test_trust_is_the_mode_of_its_posterior(tables):
    """Beside SciPy's minimiser: labels given the sum of the answers, log-normal weights around shares by likelihood."""
    x, y, categorical = tables
    reader, told = read_context(x[:, :40], y[:, :40], categorical, ["kernel", "linear", "narrow"])
    for i in range(3):
        answers, labels = told.answers[i].double().numpy(), y[i, :40].numpy()
        present = reader.present[i].numpy()
        likelihood = answers[np.arange(40), :, labels].mean(0) * 40**0.5
        begin = np.maximum(likelihood - logsumexp(likelihood), LEAST_TRUST)

        def loss(log_weights, answers=answers, labels=labels, present=present, begin=begin, i=i):
            logits = (np.exp(log_weights)[:, None] * answers).sum(1) + reader.log_shares[i].double().numpy()
            logits[:, ~present] = -np.inf
            likely = logits[np.arange(40), labels] - logsumexp(logits, axis=1)
            return ((log_weights - begin) ** 2).sum() / 2 - likely.sum()

        best = minimize(loss, begin, tol=1e-10)
        assert loss(told.trust[i].double().log().numpy()) <= best.fun + 1e-4


def test_one_answer_gets_sharper_where_it_was_too_careful():
    labels = torch.eye(2)[torch.arange(100) % 2][None]
    careful = 0.5 * (labels[:, :, None] - 0.5)
    assert _trust(careful, labels, torch.full((1, 1, 2), 0.5).log()).item() > 2


def test_classes_that_a_task_lacks_are_no_evidence(tables):
    x, y, categorical = tables
    y = torch.stack([row % k for row, k in zip(torch.arange(60).expand(3, -1), (2, 3, 5), strict=True)])
    cells, answers, _ = read_table(x, y[:, :40], categorical, ["kernel"])
    assert answers[0, :, :, 2:].eq(0).all()
    assert answers[0, :, :, :2].ne(0).any()
    per_cell = cells.unflatten(-1, (GROUP, -1))[..., CELL_INPUTS:].unflatten(-1, (WINDOWS, -1))
    assert per_cell[0, ..., 2:].eq(0).all()
    assert per_cell[2, ..., 4].ne(0).any()


def test_a_lesson_holds_what_the_network_reads_at_prediction():
    lesson = sample_lesson(("kernel",), 3, 1, **SHAPE)
    x, y, categorical = (torch.from_numpy(part) for part in sample_batch(3, 1, **SHAPE)[:3])
    read = read_table(x, y[:, :40], categorical, ["kernel"])
    for ahead, now in zip(lesson[:3], read, strict=True):
        torch.testing.assert_close(torch.from_numpy(ahead).float(), now, atol=5e-3, rtol=1e-3)
    toy = PFN(NetworkConfig(width=32, n_layers=1, n_heads=2, hidden=64, n_thinking=2, cell_width=16)).eval()
    with torch.inference_mode():
        told = evidence.Evidence(*(torch.from_numpy(part).float() for part in lesson[:3]))
        torch.testing.assert_close(toy.answer(told, y[:, :40]), toy(x, y[:, :40], categorical), atol=0.05, rtol=0)


def test_rows_that_attention_does_not_see_are_evidence_only():
    shape = {"n_tasks": 1, "n_rows": ATTENDED_ROWS + 90, "n_context": ATTENDED_ROWS + 60, "n_features": 2}
    lesson = sample_lesson(("kernel",), 3, 1, **shape)
    x, y, categorical = (torch.from_numpy(part) for part in sample_batch(3, 1, **shape)[:3])
    read = read_table(x, y[:, : shape["n_context"]], categorical, ["kernel"])
    kept = torch.cat([torch.arange(ATTENDED_ROWS), torch.arange(shape["n_context"], shape["n_rows"])])
    torch.testing.assert_close(torch.from_numpy(lesson.cells).float(), read.cells[:, kept], atol=5e-3, rtol=1e-3)
    assert torch.equal(torch.from_numpy(lesson.y), y[:, kept])
    toy = PFN(NetworkConfig(width=32, n_layers=1, n_heads=2, hidden=64, n_thinking=2, cell_width=16)).eval()
    with torch.inference_mode():
        context = toy.encode_context(x[:, : shape["n_context"]], y[:, : shape["n_context"]], categorical, ATTENDED_ROWS)
        asked = toy.predict(context, x[:, shape["n_context"] :])
        told = evidence.Evidence(*(torch.from_numpy(part).float() for part in lesson[:3]))
        torch.testing.assert_close(toy.answer(told, y[:, :ATTENDED_ROWS]), asked, atol=0.05, rtol=0)
