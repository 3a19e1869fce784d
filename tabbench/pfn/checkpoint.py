"""The trunk: a training state on disk that any later run continues, in files of at most 16 MiB, without pickle.

`state.json` names the files of the newest complete state and is replaced last; the files of the state before it are
removed only then. So a kill at any moment leaves one complete state.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tabbench.errors import UserError
from tabbench.files import replace_file, replace_text

FILE_BYTES = 15 * 2**20
STATE = "state.json"


def save_trunk(folder: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and facts (which hold the `step`) as the newest state of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for i, shard in enumerate(_shards(tensors)):
        names.append(f"trunk-{facts['step']:08d}-{i}.safetensors")
        replace_file(folder / names[-1], partial(save_file, shard))
    replace_text(folder / STATE, json.dumps({**facts, "files": names}, indent=1) + "\n")
    for old in folder.glob("trunk-*.safetensors"):
        if old.name not in names:
            old.unlink()


def _shards(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous().clone()
        if size and size + value.nbytes > FILE_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = value
        size += value.nbytes
    return shards


def load_trunk(folder: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of the newest state; raises UserError if there is none or it is damaged."""
    try:
        facts = json.loads((folder / STATE).read_text(encoding="utf-8"))
        tensors: dict[str, Tensor] = {}
        for name in facts.pop("files"):
            tensors |= load_file(folder / name, device=str(device))
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no training state to continue ({Path(error.filename or STATE).name} is missing)") from None
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{folder}: damaged training state ({str(error).splitlines()[0]})") from None
    return tensors, facts
