import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.zilla import NINETEEN, main
from tabbench.api import open_results
from tabbench.cli import main as command
from tabbench.models import MODELS, load_models


def test_tables_come_smallest_first_and_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    rng, suite = np.random.default_rng(0), ""
    for name, n in (("big", 60), ("small", 40)):
        pd.DataFrame({"a": rng.normal(size=n), "y": np.arange(n) % 2}).to_csv(f"{name}.csv", index=False)
        suite += f'[[tasks]]\nname = "{name}"\nsource = "file"\npath = "{name}.csv"\ntarget = "y"\n'
    Path("two.toml").write_text(suite)
    call = ["--suite", "two.toml", "--out", "r", "--workers", "1"]
    main(call, ("dummy",))
    manifest = json.loads(Path("r/manifest.json").read_text())
    assert [run["tasks"] for run in (*manifest["earlier"], manifest["run"])] == [["small"], ["big"]]
    frame = open_results("r").frame
    assert frame.groupby(["task", "status"]).size().to_dict() == {("big", "ok"): 10, ("small", "ok"): 10}
    main(call, ("dummy",))
    pd.testing.assert_frame_equal(open_results("r").frame, frame)
    capsys.readouterr()
    assert command(["status", "r"]) == 0
    assert "20 jobs are stored (20 ok), 0 are to do" in capsys.readouterr().out


def test_the_nineteen_are_models():
    load_models()
    assert len(NINETEEN) == 19
    assert set(NINETEEN) <= set(MODELS)
