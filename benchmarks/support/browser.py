"""A page in headless Chromium."""

import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --dump-dom"
)


def browse(path: Path, folder: Path, *, real_time: bool = False) -> str:
    """The page as it is after its load event in real time, or after five seconds of the browser's own."""
    clock = [] if real_time else ["--virtual-time-budget=5000"]
    command = [
        str(CHROMIUM),
        *QUIET.split(),
        *clock,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={folder / 'net.json'}",
    ]
    return subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=600, check=True).stdout
