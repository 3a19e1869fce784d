"""Models that do one bad thing each, at one of several moments; `attacks.py` writes them into a module and runs them.

The process RUNNER, which builds every model once to see what it is, is left alone.
"""

import textwrap
from pathlib import Path

MOMENTS = ("build", "fit", "predict")
STORE = "Path(os.environ['STORE'])"
ACTS = {
    "exits": "sys.exit(0)",
    "leaves": "os._exit(0)",
    "aborts": "os.abort()",
    "crashes": "ctypes.string_at(0)",
    "kills_itself": "os.kill(os.getpid(), signal.SIGKILL)",
    "stops_itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "kills_its_keeper": "os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)",
    "stops_its_keeper": "os.kill(os.getppid(), signal.SIGSTOP); time.sleep(60)",
    "stops_the_server": "[p.suspend() for p in servers()]; time.sleep(60)",
    "kills_the_server": "[p.kill() for p in servers()]; time.sleep(60)",
    "hangs": "time.sleep(600)",
    "spins": "while True: pass",
    "hangs_deaf": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    "eats_memory": "self.eaten = [np.ones(2**21) for _ in range(200)]; time.sleep(60)",
    "eats_shared_memory": "self.eaten = [mmap.mmap(-1, 2**24) for _ in range(200)]; [m.write(bytes(2**24)) for m in self.eaten]",
    "opens_all": "self.files = [os.open('/dev/null', 0) for _ in range(10**6)]",
    "closes_all": "os.closerange(3, 1000)",
    "closes_the_streams": "[os.close(n) for n in range(3)]",
    "floods": "[print('x' * 10**5, flush=True) for _ in range(200)]",
    "daemonises": "daemon()",
    "multiplies": "[subprocess.Popen(['sleep', '600']) for _ in range(40)]",
    "threads": "[threading.Thread(target=time.sleep, args=(600,)).start() for _ in range(20)]",
    "raises_surrogates": "raise ValueError('\\udc80\\x1b[2J')",
    "raises_hugely": "raise ValueError('x' * 10**8)",
    "raises_lines": "raise ValueError('a\\nverdict: fine')",
    "raises_the_untellable": "raise Untellable",
    "raises_a_group": "raise BaseExceptionGroup('a', [KeyboardInterrupt(), SystemExit(0)])",
    "interrupts": "raise KeyboardInterrupt",
    "recurses": "deep()",
    "recurses_unseen": "sys.setrecursionlimit(10**9); deep()",
    "answers_five": "answer(b'5\\n')",
    "answers_brackets": "answer(b'[' * 200_000)",
    "answers_without_end": "answer(b'x', 2**62)",
    "answers_no_table": "answer(b'no table\\n')",
    "answers_noise": "answer(bytes(range(256)) * 40)",
    "warns_hugely": "[warnings.warn('x' * 1000 + str(n)) for n in range(3000)]",
    "deletes_rows": f"sql({STORE}, 'DELETE FROM runs')",
    "plants_a_trigger": f"sql({STORE}, 'CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END')",
    "removes_the_store": f"{STORE}.unlink()",
    "links_the_store": f"{STORE}.unlink(); {STORE}.symlink_to('/dev/zero')",
    "truncates_the_store": f"os.truncate({STORE}, 10)",
    "writes_the_manifest": f"{STORE}.with_name('manifest.json').write_text('{{}}')",
    "removes_the_folder": f"shutil.rmtree({STORE}.parent)",
    "moves_the_folder": f"{STORE}.parent.rename({STORE}.parent.with_name('moved'))",
    "locks_the_store": f"[fcntl.lockf(open({STORE}.with_name('store.lock')), fcntl.LOCK_SH)]",
    "removes_the_tables": "[p.unlink() for p in Path(os.environ['TABBENCH_DATA'], 'tasks').iterdir()]",
    "spoils_the_tables": "[p.write_bytes(b'x') for p in Path(os.environ['TABBENCH_DATA'], 'tasks').iterdir()]",
    "undoes_the_mount": f"[ctypes.CDLL(None).umount2(os.fsencode({STORE}.parent), 2), {STORE}.unlink()]",
    "reaches_around": f"[Path('/proc', str(pid), 'root' + str({STORE})).unlink() for pid in (1, os.getppid())]",
    "changes_folder": "os.chdir('/')",
    "changes_clock": "time.perf_counter = time.monotonic = lambda: -5.0; time.process_time = lambda: float('nan')",
    "changes_metrics": "import tabbench.engine.execute as e; e.attempt = None; e.class_probabilities = lambda *a: np.eye(2)",
    "changes_json": "json.dumps = lambda *a, **k: '[' * 10**5",
    "limits_itself": "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "traces": "sys.settrace(lambda *a: sys.exit(0))",
    "leaves_at_exit": "atexit.register(os.abort); atexit.register(time.sleep, 600)",
    "alarms": "signal.setitimer(signal.ITIMER_REAL, 0.001)",
    "walks_the_stack": "self.found = walk()",
    "returns_complex": "return np.full((len(X), 2), 0.5 + 0.1j)",
    "returns_texts": "return np.full((len(X), 2), '0.5')",
    "returns_dates": "return np.full((len(X), 2), np.datetime64(0, 's'))",
    "returns_masked": "return np.ma.masked_all((len(X), 2))",
    "returns_overflow": "return np.full((len(X), 2), 6e4, np.float16) * np.float16(2)",
    "returns_nearly_one": "return np.full((len(X), 2), 0.502)",
    "returns_views_of_itself": "a = [0.5]; a += [a]; return [a] * len(X)",
}
HEAD = '''
import atexit, ctypes, fcntl, gc, json, mmap, os, resource, shutil, signal, sqlite3, stat, subprocess
import sys, threading, time, warnings
from pathlib import Path

import numpy as np
import psutil
from sklearn.base import BaseEstimator, ClassifierMixin


class Untellable(Exception):
    def __str__(self):
        raise ValueError


def servers():
    parent = psutil.Process(os.getppid()).parent()
    return [parent] if parent and "forkserver" in " ".join(parent.cmdline()) else []


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)


def deep():
    return deep()


def sql(path, statement):
    with sqlite3.connect(path, timeout=1) as db:
        db.execute(statement)


def answer(body, size=None):
    from multiprocessing import resource_tracker

    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if stat.S_ISFIFO(os.stat(fd).st_mode) and fd != resource_tracker._resource_tracker._fd:
                os.write(fd, (len(body) if size is None else size).to_bytes(8, "little") + body)
        except OSError:
            pass
    time.sleep(60)


def walk():
    """Labels of every row, if there is such a thing."""
    found, frame = list(gc.get_objects()), sys._getframe()
    while frame:
        found += frame.f_locals.values()
        frame = frame.f_back
    found += [getattr(value, "y", None) for value in found if type(value).__name__ == "Task"]
    splits = [value for value in found if type(value).__name__ == "Split"]
    arrays = [value for value in found if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu"]
    for split in splits:
        for array in arrays:
            if len(array) > split.test.max() and set(np.unique(array[split.test])) == {0, 1}:
                return array[split.test]


class Base(ClassifierMixin, BaseEstimator):
    found = None

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        if self.found is not None and len(self.found) == len(X):
            return np.eye(2)[self.found]
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


'''
METHODS = {
    "build": "def __init__(self):\n    if os.environ['RUNNER'] == str(os.getpid()):\n        return\n{act}\n",
    "fit": "def fit(self, X, y):\n    super().fit(X, y)\n{act}\n    return self\n",
    "predict": "def predict_proba(self, X):\n{act}\n    return super().predict_proba(X)\n",
}


def write_models(path: Path) -> None:
    """Write the module, a class for each act and moment, named `<act>_<moment>`."""
    classes = []
    for moment in MOMENTS:
        for name, act in ACTS.items():
            method = METHODS[moment].format(act=textwrap.indent(act, "    "))
            classes.append(f"class {name}_{moment}(Base):\n{textwrap.indent(method, '    ')}")
    text = HEAD + "\n\n".join(classes)
    compile(text, path.name, "exec")  # else no act would be tried
    path.write_text(text)
