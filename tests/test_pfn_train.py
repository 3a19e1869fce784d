"""The trainer: the curve depends on config and seed only, not on interruptions, processes or earlier releases."""

import csv
import hashlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from tabbench.errors import UserError  # noqa: E402
from tabbench.pfn import checkpoint  # noqa: E402
from tabbench.pfn import trainer as training  # noqa: E402
from tabbench.pfn.checkpoint import load_trunk, save_trunk  # noqa: E402
from tabbench.pfn.curriculum import Config, Stage, batches, load_config, shape_of_step  # noqa: E402
from tabbench.pfn.evaluate import TEST_SETS, compare_with_forest, development_tasks, halves, is_test_set  # noqa: E402
from tabbench.pfn.muon import Muon, orthogonalize  # noqa: E402
from tabbench.pfn.network import PFN, NetworkConfig, load_weights  # noqa: E402
from tabbench.pfn.release import keep, release  # noqa: E402
from tabbench.pfn.train import LOG_COLUMNS  # noqa: E402
from tabbench.pfn.trainer import TABLES, Trainer, classify, prior_loss, score  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    """Sums, and with them curves, differ in their last bit between thread counts; the command trains with one by default."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


TOY = Config(
    network=NetworkConfig(width=16, n_layers=1, n_heads=2, hidden=32, n_thinking=2, cell_width=8),
    stages=(Stage(40, 2, (24, 32), (2, 3)), Stage(10**9, 3, (40,), (4,))),
    seed=5,
    muon_lr=5e-3,
    adam_lr=5e-3,
    muon_weight_decay=0.01,
    warmup_steps=5,
    clip=1.0,
    ema=0.9,
)
SAMPLE = TABLES.sample(TOY.network)
TOY_TOML = """
[network]
width = 16
n_layers = 1
n_heads = 2
hidden = 32
n_thinking = 2
cell_width = 8
[training]
seed = 5
muon_lr = 5e-3
adam_lr = 5e-3
muon_weight_decay = 0.01
warmup_steps = 5
clip = 1.0
ema = 0.9
[[stage]]
until_tasks = 40
n_tasks = 2
rows = [24, 32]
features = [2, 3]
[[stage]]
until_tasks = 1_000_000_000
n_tasks = 3
rows = [40]
features = [4]
"""


def advance(trainer, n_steps):
    """Losses of the next steps of the trunk."""
    losses = []
    stream = batches(trainer.config, trainer.step, trainer.tasks, 0, trainer.sample)
    for (shape, batch), _ in zip(stream, range(n_steps), strict=False):
        losses.append(trainer.advance(batch, shape, trainer.warmup)["loss"])
    return losses


def trainer_at(config, n_steps):
    trainer = Trainer(config, CPU)
    advance(trainer, n_steps)
    return trainer


# ---- curriculum and batches


def test_shapes_follow_the_curriculum():
    first, later = shape_of_step(TOY, 3, 39), shape_of_step(TOY, 3, 40)
    assert first == shape_of_step(TOY, 3, 0)
    assert (first.n_tasks, later.n_tasks, later.n_rows, later.n_features) == (2, 3, 40, 4)
    shapes = [shape_of_step(TOY, step, 0) for step in range(50)]
    assert {s.n_rows for s in shapes} == {24, 32}
    assert {s.n_features for s in shapes} == {2, 3}
    assert all(0.25 <= s.n_context / s.n_rows <= 0.9 for s in shapes)


def test_batches_do_not_depend_on_the_number_of_processes():
    here = [pair for pair, _ in zip(batches(TOY, 18, 36, 0, SAMPLE), range(5), strict=False)]
    pool = batches(TOY, 18, 36, 2, SAMPLE)
    there = [pair for pair, _ in zip(pool, range(5), strict=False)]
    pool.close()
    assert [shape.n_tasks for shape, _ in here] == [2, 2, 3, 3, 3]
    for (shape_a, a), (shape_b, b) in zip(here, there, strict=True):
        assert shape_a == shape_b
        for part_a, part_b in zip(a, b, strict=True):
            np.testing.assert_array_equal(part_a, part_b)


@pytest.mark.parametrize("text", ["[network]\nwidth = 16\n", "= no toml", TOY_TOML + "\n[network.more]\nx = 1\n"])
def test_bad_configs_are_refused(text, tmp_path):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UserError, match=r"c\.toml"):
        load_config(str(tmp_path / "c.toml"))


def test_shipped_configs_load_and_toml_says_the_same_as_code(tmp_path):
    (tmp_path / "toy.toml").write_text(TOY_TOML)
    assert load_config(str(tmp_path / "toy.toml")) == TOY
    shipped = list((Path(checkpoint.__file__).parent / "configs").glob("*.toml"))
    assert len({load_config(path.stem).network for path in shipped}) == 1  # a trunk moves between machines
    with pytest.raises(UserError, match="no such config"):
        load_config("nowhere")


# ---- loss


def test_loss_is_over_the_classes_of_the_task():
    logits = torch.zeros(2, 4, 10)
    logits[..., 7] = 50  # a class that neither task has
    y = torch.tensor([[0, 1, 0, 1], [2, 1, 0, 0]])
    loss, _ = score(logits, y, torch.tensor([2, 3]))
    assert loss.item() == pytest.approx((np.log(2) + np.log(3)) / 2)


def test_prior_loss_is_the_entropy_of_the_shares():
    y = torch.tensor([[0, 0, 0, 1] * 20])
    assert prior_loss(y, 40) == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), abs=2e-3)


def test_training_beats_the_class_shares():
    config = replace(TOY, stages=(Stage(10**9, 4, (64,), (3,)),))
    trainer = Trainer(config, CPU)
    stream = batches(config, 0, 0, 0, SAMPLE)
    fresh = [batch for batch, _ in zip(batches(config, 10_000, 0, 0, SAMPLE), range(30), strict=False)]

    def gain():
        with torch.inference_mode():
            told = [classify(trainer.network, map(torch.from_numpy, batch), shape) for shape, batch in fresh]
        return np.mean([figures["prior_loss"] - loss.item() for loss, figures in told])

    untrained = gain()
    for (shape, batch), _ in zip(stream, range(120), strict=False):
        trainer.advance(batch, shape, 1.0)
    assert gain() > max(0.05, untrained + 0.01)


def test_an_odd_table_does_not_end_the_run():
    trainer = trainer_at(TOY, 2)
    shape, batch = next(batches(TOY, 2, 4, 0, SAMPLE))
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.worker.head[2].bias.register_hook(lambda gradient: gradient * torch.nan)
    trainer.advance(batch, shape, 1.0)
    assert trainer.step == 3
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_training_leaves_the_global_generator_alone():
    state = torch.random.get_rng_state()
    trainer_at(TOY, 1)
    assert torch.equal(state, torch.random.get_rng_state())


# ---- interruption


def test_restored_trainer_goes_on_exactly(tmp_path):
    straight = advance(Trainer(TOY, CPU), 30)
    first = trainer_at(TOY, 17)
    save_trunk(tmp_path, *first.state())
    second = Trainer(TOY, CPU)
    second.restore(*load_trunk(tmp_path, CPU))
    assert advance(second, 13) == straight[17:]
    assert (second.step, second.tasks) == (30, 2 * 20 + 3 * 10)


START = "import sys, tabbench.pfn.train as t; t.CHECKPOINT_SECONDS = 0.3; sys.exit(t.main())"


def start(tmp_path, out, minutes, *more):
    toml = tmp_path / "toy.toml"
    toml.write_text(TOY_TOML)
    args = ["--config", str(toml), "--minutes", str(minutes), "--out", str(out), "--workers", "1", *more]
    return subprocess.Popen([sys.executable, "-c", START, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def losses(out):
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == LOG_COLUMNS
    assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    return [row["loss"] for row in rows]


def test_sigkill_and_resume_give_the_uninterrupted_curve(tmp_path):
    killed = start(tmp_path, tmp_path / "killed", 5)
    state = tmp_path / "killed" / "state.json"
    deadline = time.monotonic() + 600
    while not (state.exists() and json.loads(state.read_text())["step"] >= 10):
        assert time.monotonic() < deadline, "no checkpoint"
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    time.sleep(0.2)  # somewhere between two checkpoints
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    step = json.loads(state.read_text())["step"]
    resumed = start(tmp_path, tmp_path / "killed", 0.02, "--resume")
    assert resumed.wait(600) == 0, resumed.communicate()
    resumed.communicate()
    curve = losses(tmp_path / "killed")
    assert len(curve) > step
    straight = advance(Trainer(TOY, CPU), len(curve))
    assert [f"{loss:.6g}" for loss in straight] == curve


def test_a_folder_with_a_state_is_not_overwritten(tmp_path):
    save_trunk(tmp_path / "run", *trainer_at(TOY, 2).state())
    refused = start(tmp_path, tmp_path / "run", 0.01)
    _, errors = refused.communicate(timeout=600)
    assert refused.returncode == 2
    assert "--resume" in errors
    assert "Traceback" not in errors


def test_checkpoint_is_kept_until_the_next_is_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FILE_BYTES", 4000)
    save_trunk(tmp_path, {"a": torch.ones(800), "b": torch.ones(800)}, {"step": 1})
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    real = checkpoint.save_file
    calls = []

    def fail_second(shard, path):
        calls.append(path)
        if len(calls) == 2:
            raise OSError("disk full")
        real(shard, path)

    monkeypatch.setattr(checkpoint, "save_file", fail_second)
    with pytest.raises(UserError, match="disk full"):
        save_trunk(tmp_path, {"a": torch.zeros(800), "b": torch.zeros(800)}, {"step": 2})
    tensors, facts = load_trunk(tmp_path, CPU)
    assert facts["step"] == 1
    assert all(value.eq(1).all() for value in tensors.values())
    monkeypatch.setattr(checkpoint, "save_file", real)
    save_trunk(tmp_path, {"a": torch.zeros(9)}, {"step": 3})
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert not list(tmp_path.glob(".*"))


def test_damaged_missing_and_foreign_states_are_refused(tmp_path):
    with pytest.raises(UserError, match="no training state"):
        load_trunk(tmp_path, CPU)
    trainer = trainer_at(TOY, 2)
    save_trunk(tmp_path, *trainer.state())
    other = Trainer(replace(TOY, network=replace(TOY.network, width=32)), CPU)
    with pytest.raises(UserError, match="another network"):
        other.restore(*load_trunk(tmp_path, CPU))
    file = next(tmp_path.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged"):
        load_trunk(tmp_path, CPU)


def test_both_types_of_products_learn_alike():
    curves = []
    for dtype in (torch.float32, torch.bfloat16):
        trainer = Trainer(TOY, CPU, dtype=dtype)
        curves.append(advance(trainer, 20))
        assert all(value.dtype == torch.float32 for value in trainer.network.state_dict().values())
    np.testing.assert_allclose(curves[0], curves[1], atol=0.05)


def test_steps_of_small_tables_have_more_of_them():
    stages = (Stage(50, 4, (16, 64), (3,), step_rows=128), Stage(10**9, 4, (64,), (3,)))
    config = replace(TOY, stages=stages)
    shapes = [shape_of_step(config, step, tasks) for step, tasks in ((0, 0), (1, 0), (2, 0), (3, 0), (4, 50))]
    assert {(shape.n_rows, shape.n_tasks) for shape in shapes} == {(16, 8), (64, 4)}
    assert shapes[-1].n_tasks == 4


def test_products_are_of_the_faster_type(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    for faster in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(training, "_seconds_of_products", lambda dtype, faster=faster: 1.0 if dtype == faster else 2.0)
        assert training.fast_type(CPU) == faster
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert training.fast_type(CPU) == torch.float32


def test_a_voice_joins_a_trunk_in_silence(tmp_path, monkeypatch):
    from tabbench.pfn import evidence

    first = trainer_at(TOY, 6)
    save_trunk(tmp_path, *first.state())
    monkeypatch.setitem(evidence.VOICES, "echo", evidence.VOICES["kernel"])
    second = Trainer(replace(TOY, network=replace(TOY.network, voices=("kernel", "echo"))), CPU)
    second.restore(*load_trunk(tmp_path, CPU))
    assert second.step == 6
    assert torch.equal(second.network.hear["kernel"].weight, first.network.hear["kernel"].weight)
    assert second.network.hear["echo"].weight.eq(0).all()
    before = second.network.hear["echo"].weight.clone()
    advance(second, 2)
    assert not torch.equal(second.network.hear["echo"].weight, before)
    with pytest.raises(UserError, match="another network"):
        Trainer(TOY, CPU).restore(*second.state())


def test_a_kept_trunk_is_small_and_goes_on(tmp_path):
    first = trainer_at(TOY, 12)
    save_trunk(tmp_path / "trunk", *first.state())
    rows = "".join(f"{step},{2 * step},0.1,0.9,1.0,0.5,0.001,0.1,24,2\n" for step in range(1, 15))
    (tmp_path / "trunk" / "log.csv").write_text(",".join(LOG_COLUMNS) + "\n" + rows)
    keep(tmp_path / "trunk", tmp_path / "kept")
    tensors, facts = load_trunk(tmp_path / "kept", CPU)
    assert all(value.dtype == torch.float16 for value in tensors.values())
    assert sum(value.nbytes for value in tensors.values()) <= 2.1 * sum(p.numel() for p in first.network.parameters())
    assert len((tmp_path / "kept" / "log.csv").read_text().splitlines()) == 13
    second = Trainer(TOY, CPU)
    second.restore(tensors, facts)
    assert (second.step, second.tasks) == (12, 24)
    assert second.warmup == 1 / TOY.warmup_steps
    np.testing.assert_allclose(advance(second, 5), advance(first, 5), atol=0.1)


# ---- release


def test_release_writes_weights_and_card_and_leaves_the_trunk(tmp_path):
    save_trunk(tmp_path / "trunk", *trainer_at(TOY, 6).state())
    before = {path.name: path.read_bytes() for path in (tmp_path / "trunk").iterdir()}
    (tmp_path / "trunk" / "log.csv").write_text(",".join(LOG_COLUMNS) + "\n1,2,0.1,0.9,1.0,0.5,0.001,0.1,24,2\n")
    release(TOY, tmp_path / "trunk", 4, tmp_path / "pfn.safetensors", n_workers=0)
    (tmp_path / "trunk" / "log.csv").unlink()
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "trunk").iterdir()}
    card = json.loads((tmp_path / "pfn.json").read_text())
    assert card["sha256"] == hashlib.sha256((tmp_path / "pfn.safetensors").read_bytes()).hexdigest()
    assert (card["steps"], card["decay_steps"], card["tasks"]) == (10, 4, 20)
    assert card["flops"] > 0
    assert card["curve"]
    assert load_weights(tmp_path / "pfn.safetensors").config == TOY.network


def test_trainer_needs_neither_pandas_nor_scikit_learn(tmp_path):
    blocked = "import sys; [sys.modules.__setitem__(m, None) for m in ('pandas', 'sklearn', 'scipy', 'pyarrow')]; "
    (tmp_path / "toy.toml").write_text(TOY_TOML)
    args = ["--config", str(tmp_path / "toy.toml"), "--minutes", "0.001", "--out", str(tmp_path / "run"), "--workers", "0"]
    command = [sys.executable, "-c", blocked + START, *args, "--dev", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "development datasets skipped: pandas is not installed" in done.stdout


# ---- Muon


@pytest.mark.parametrize("shape", [(24, 48), (48, 24), (96, 192)])
def test_orthogonalize_brings_singular_values_near_one(shape):
    stack = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(stack))
    assert 0.6 < values.min() < values.max() < 1.3
    u, _, v = torch.linalg.svd(stack, full_matrices=False)
    closeness = (orthogonalize(stack) * (u @ v)).sum((1, 2)) / min(shape)
    assert (closeness > 0.8).all()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon to compare with")
def test_muon_agrees_with_torch():
    generator = torch.Generator().manual_seed(1)
    starts = [torch.randn(shape, generator=generator) for shape in [(24, 24), (24, 48), (24, 24)]]
    ours, theirs = ([torch.nn.Parameter(start.clone()) for start in starts] for _ in range(2))
    mine = Muon(ours, lr=0.02, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        mine.step()
        reference.step()
    for begin, a, b in zip(starts, ours, theirs, strict=True):  # torch iterates in bfloat16
        assert torch.linalg.norm(a - b) < 0.03 * torch.linalg.norm(b - begin)


# ---- development datasets


def write_dataset(folder, number, name, n_rows=60):
    rng = np.random.default_rng(number)
    x = rng.normal(size=n_rows)
    frame = pd.DataFrame(
        {"a": x, "b": pd.Categorical(rng.choice(["u", "v"], n_rows)), "target": pd.Categorical(np.where(x > 0, "p", "q"))}
    )
    (folder / str(number)).mkdir(parents=True)
    frame.to_parquet(folder / str(number) / "data.parquet")
    meta = {"openml_dataset_id": number, "name": name, "n_rows": n_rows, "n_features": 2, "n_classes": 2}
    (folder / str(number) / "meta.json").write_text(json.dumps(meta))


def test_test_sets_are_never_development_sets(tmp_path):
    write_dataset(tmp_path, 61, "iris")
    write_dataset(tmp_path, 37, "renamed")  # a test set by id
    write_dataset(tmp_path, 999, "Vehicle")  # one by name
    write_dataset(tmp_path, 62, "long", n_rows=400)
    assert [task.name for task in development_tasks(tmp_path, max_rows=300)] == ["iris"]
    assert len(TEST_SETS) == 18
    assert all(is_test_set(number, "x") and is_test_set(None, name) for number, name in TEST_SETS.items())
    with pytest.raises(UserError, match="no development datasets"):
        list(development_tasks(tmp_path / "nowhere"))


def test_halves_are_stratified_and_keep_rare_classes_in_training(tmp_path):
    write_dataset(tmp_path, 61, "iris")
    task = next(iter(development_tasks(tmp_path)))
    for train, test in halves(task, 2):
        assert sorted([*train, *test]) == list(range(60))
        assert abs(len(train) - len(test)) <= 2
        assert set(task.y[train]) == {0, 1}


def test_comparison_keeps_the_forest_scores(tmp_path):
    write_dataset(tmp_path / "dev", 61, "iris")
    network = PFN(TOY.network).eval()
    table = compare_with_forest(network, tmp_path / "dev", 1000, 1, cache=tmp_path / "forest.json")
    assert table.loc["iris", "forest"] > 0.95
    assert 0 <= table.loc["iris", "pfn"] <= 1
    (tmp_path / "forest.json").write_text(json.dumps({"1000 rows, 1 splits": {"iris": 0.123}}))
    assert compare_with_forest(network, tmp_path / "dev", 1000, 1, cache=tmp_path / "forest.json").loc["iris", "forest"] == 0.123
