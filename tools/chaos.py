"""Kill training runs in many ways, resume them, and compare their final state: `make chaos`.

python tools/chaos.py [--kills 100] [--others 10] [--seed 0] [--write]

Each run is hit by several faults, one after another, and is resumed after each. In the end, it must have the same
weights, metrics and log as an undisturbed run. After each fault, the newest intact checkpoint must be at least as new
as before, unless the fault damages that very checkpoint. A fault that comes after the end of a run is tried again on
another run.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import datasets
import torch

import hf_rnn.cli.main
import hf_rnn.training.run
from hf_rnn.training.checkpoints import damage, newest_whole, numbered

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support import assert_same_run
from support.reviews import made_up_reviews

BY_STEPS = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 3, "eval_steps": 3, "save_total_limit": 3}
RUNS = {
    "classifier, by steps, best model": {"training": BY_STEPS},
    "classifier, by epochs, moving average": {"training": {"averaging": "ema", "averaging_decay": 0.9}},
    "classifier, by tokens, accumulated": {
        "training": {
            "train_batch_tokens": 300,
            "gradient_accumulation_steps": 2,
            **BY_STEPS,
            "logging_strategy": "steps",
            "logging_steps": 5,
        }
    },
    "language model on streams": {
        "task": "language_modeling",
        "training": {"window": 8, "per_device_train_batch_size": 4, **BY_STEPS, "save_steps": 20, "eval_steps": 20},
    },
}
AT_ANY_MOMENT, WHILE_SAVING, TOLD = "SIGKILL at a random moment", "SIGKILL while it saved", "SIGTERM"
FULL, LIMITED, READ_ONLY = "the disk full", "files limited in size (RLIMIT_FSIZE)", "the folder read-only"
SHORTER, FLIPPED = "SIGKILL, and the newest checkpoint cut short", "SIGKILL, and a bit of it flipped"
LONGEST = 120


def blows(kills: int, others: int) -> list[str]:
    """Return the faults to inject: `kills` SIGKILLs and `others` of each other kind."""
    rest = [TOLD, FULL, LIMITED, READ_ONLY, SHORTER, FLIPPED]
    return [AT_ANY_MOMENT] * (kills - kills // 2) + [WHILE_SAVING] * (kills // 2) + rest * others


class Chaos:
    """Folder in which runs are trained, hit by faults and resumed.

    Args:
        folder: Folder of the data and the runs.
        log: File for the output of the runs.
        seed: Random seed of the faults.
        own_disk: True if the folder is a disk of its own.
    """

    def __init__(self, folder: Path, log: Path, seed: int, own_disk: bool):
        self.log = log
        self.folder, self.own_disk, self.random = folder, own_disk, random.Random(seed)
        self.dealt, self.late, self.runs, self.starts = Counter(), 0, Counter(), 0
        self.whole, self.seconds = {}, {}
        reviews = made_up_reviews(400)
        rows = zip(reviews["text"], reviews["label"], strict=True)
        lines = ["text,label", *(f'"{text}",{label}' for text, label in rows)]
        (folder / "reviews.csv").write_text("\n".join(lines), encoding="utf-8")
        for name in RUNS:
            self.whole[name] = folder / f"whole {name}"
            began = time.monotonic()
            code = self._wait(self._start(name, self.whole[name]))
            assert code == 0, self._log()
            self.seconds[name] = time.monotonic() - began

    def _start(self, name: str, run: Path, in_child=lambda: None) -> int:
        """Start or resume a run in a forked process; return the process id."""
        sections = RUNS[name]
        training = {"output_dir": str(run), "num_train_epochs": 3, "disable_tqdm": True, "learning_rate": 0.01}
        training |= sections["training"]
        training["resume" if newest_whole(run) else "overwrite"] = True
        options = [f"--training.{key}={'true' if value is True else value}" for key, value in training.items()]
        command = [
            "train",
            "--preset=none",
            f"--task={sections.get('task', 'text_classification')}",
            f"--data.path={self.folder / 'reviews.csv'}",
            "--tokenizer.kind=word",
            "--tokenizer.min_frequency=1",
            "--model.embedding_size=32",
            "--model.hidden_size=32",
            *options,
        ]
        self.starts += 1
        child = os.fork()
        if child:
            return child
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            torch.set_num_threads(1)
            in_child()
            code = hf_rnn.cli.main.main(command)
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            print(repr(error), flush=True)
            code = 70
        os._exit(code)

    def _wait(self, child: int) -> int:
        """Return the exit status of a child process, as a shell would show it."""
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) % 256
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError(f"a run hung: {self._log()}")

    def _log(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def hit(self, name: str, run: Path, blow: str, waiting: list[str]) -> bool:
        """Start or resume a run and inject one fault; return False if the run ended before the fault.

        A fault that could not be injected goes back into `waiting`.
        """
        # A run resumes from an intact checkpoint whose best checkpoint is intact too, even if there are newer ones.
        before = newest_whole(run, with_best=True)
        code, expected = getattr(self, "_" + DEALERS[blow])(name, run)
        if code == 0:
            self.late += 1
            waiting.insert(self.random.randrange(len(waiting) + 1), blow)
            return False
        assert code in expected, f"{blow}: exit code {code} and not {expected}: {self._log()}"
        if blow in (FULL, LIMITED, READ_ONLY):
            log = self._log()
            assert "free disk space there" in log or "grant the permission" in log, log
        after = newest_whole(run, with_best=True)
        if before is not None:
            assert after is not None, f"{blow}: {before.name} was whole"
            assert int(after.name[11:]) >= int(before.name[11:]), f"{blow}: {before.name} was whole, now {after.name}"
        if blow in (SHORTER, FLIPPED) and not self._spoil(run, blow):
            self.dealt[AT_ANY_MOMENT] += 1
            waiting.insert(0, blow)
        else:
            self.dealt[blow] += 1
        return True

    def _moment(self, name: str) -> float:
        """Return a random delay in seconds within the first 80 % of the run."""
        return self.random.uniform(0, 0.8 * self.seconds[name])

    def _at_any_moment(self, name: str, run: Path, number=signal.SIGKILL):
        """Send a signal at a random moment; return the exit code and the expected ones, as all faults do."""
        child = self._start(name, run)
        time.sleep(self._moment(name))
        os.kill(child, number)
        return self._wait(child), {-number % 256}

    def _told(self, name: str, run: Path):
        code, _ = self._at_any_moment(name, run, signal.SIGTERM)
        # Before and after training, the default action of the signal ends the process.
        return code, {143, -signal.SIGTERM % 256}

    def _while_saving(self, name: str, run: Path):
        """Let the run kill itself before a random operation on a file of a checkpoint."""
        countdown = [self.random.randrange(1, 160)]

        def watch(event: str, arguments: tuple) -> None:
            if event in (
                "open",
                "os.rename",
                "os.mkdir",
                "os.remove",
                "os.rmdir",
                "os.scandir",
                "os.listdir",
            ) and "checkpoint" in str(arguments[0]):
                countdown[0] -= 1
                if not countdown[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        return self._wait(self._start(name, run, lambda: sys.addaudithook(watch))), {-signal.SIGKILL % 256}

    def _limited(self, name: str, run: Path):
        """Limit the size of files that the run can write."""
        size = self.random.randrange(1_000, 60_000)
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        child = self._start(name, run, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit)))
        return self._wait(child), {1}

    def _full(self, name: str, run: Path):
        """Fill the disk at a random moment."""
        ballast = self.folder / "ballast"
        child = self._start(name, run)
        time.sleep(self._moment(name))
        room = shutil.disk_usage(self.folder).free - self.random.randrange(0, 100_000)
        # The run may have used some of the space meanwhile.
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            for _ in range(max(0, room) // 4096):
                file.write(bytes(4096))
        code = self._wait(child)
        ballast.unlink()
        return code, {1}

    def _read_only(self, name: str, run: Path):
        """Make the folder read-only at a random moment."""
        child = self._start(name, run)
        time.sleep(self._moment(name))
        with read_only(self.folder if self.own_disk else run):
            code = self._wait(child)
        return code, {1}

    def _spoil(self, run: Path, blow: str) -> bool:
        """Damage a file of the newest checkpoint; return False if no other intact checkpoint would remain."""
        found = [path for path in numbered(run) if damage(path) is None]
        if len(found) < 2:
            return False
        file = self.random.choice([path for path in sorted(found[-1].iterdir()) if path.stat().st_size])
        data = bytearray(file.read_bytes())
        place = self.random.randrange(len(data))
        if blow == SHORTER:
            data = data[:place]
        else:
            data[place] ^= 1 << self.random.randrange(8)
        file.write_bytes(data)
        assert damage(found[-1]) is not None, f"{file} was damaged, and nobody noticed"
        return True

    def run(self, blows: list[str], at_once: int = 8) -> None:
        """Inject all faults, up to `at_once` into one run, and compare each finished run with the undisturbed one."""
        waiting, most_late = list(blows), 3 * len(blows) + 10
        self.random.shuffle(waiting)
        while waiting:
            name = list(RUNS)[sum(self.runs.values()) % len(RUNS)]
            run = self.folder / "run"
            shutil.rmtree(run, ignore_errors=True)
            for _ in range(min(at_once, len(waiting))):
                if not self.hit(name, run, waiting.pop(), waiting):
                    break
            assert self.late < most_late, f"too many blows come too late: {waiting}"
            code = self._wait(self._start(name, run))
            assert code == 0, self._log()
            assert_same_run(self.whole[name], run)
            self.runs[name] += 1
            print(f"{sum(self.dealt.values())} blows, {sum(self.runs.values())} runs", flush=True)


DEALERS = {
    AT_ANY_MOMENT: "at_any_moment",
    WHILE_SAVING: "while_saving",
    TOLD: "told",
    FULL: "full",
    LIMITED: "limited",
    READ_ONLY: "read_only",
    SHORTER: "at_any_moment",
    FLIPPED: "at_any_moment",
}


@contextmanager
def own_disk(megabytes: int = 48):
    """Yield a folder, and True if it is a small mounted disk; without the rights to mount one, an ordinary folder."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
        try:
            yield Path(folder), mounted
        finally:
            if mounted:
                subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def read_only(folder: Path):
    """Make a folder read-only; if it is a mounted disk, even for root."""
    if folder.is_mount():
        subprocess.run(["mount", "-o", "remount,ro", folder], capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        return
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())] if folder.exists() else []
    for path in folders:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path in folders:
            path.chmod(0o755)


def main() -> Chaos:
    """Run the faults that the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--others", type=int, default=10, help="of each other kind")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--write", action="store_true", help="write the counts into docs/reliability.md")
    arguments = options.parse_args()
    datasets.disable_progress_bars()
    began = time.monotonic()
    with own_disk() as (folder, mounted), tempfile.NamedTemporaryFile() as log:
        # The log is outside of the folder, so it is written while the disk is full or read-only.
        chaos = Chaos(folder, Path(log.name), arguments.seed, mounted)
        wanted = blows(arguments.kills, arguments.others)
        if not mounted:
            # Without its own disk, the fault would fill the shared disk, and root can write to a read-only folder.
            left_out = {FULL} | ({READ_ONLY} if os.geteuid() == 0 else set())
            print(f"left out, since no disk can be mounted here: {', '.join(sorted(left_out))}")
            wanted = [blow for blow in wanted if blow not in left_out]
        chaos.run(wanted)
    import proofs

    rows = [[blow, chaos.dealt[blow]] for blow in dict.fromkeys(wanted)]
    text = proofs.table(["what was done to a run that trained", "times"], rows) + (
        f"\n\n{sum(chaos.dealt[blow] for blow in set(wanted))} blows to {sum(chaos.runs.values())} runs of "
        f"{len(RUNS)} kinds ({', '.join(RUNS)}), which were started {chaos.starts} times in "
        f"{time.monotonic() - began:.0f} s. Each run ended with the weights, metrics and log of the one that nobody "
        "touched, and no whole checkpoint was lost."
    )
    print(text)
    if arguments.write:
        proofs.write("chaos", text)
    return chaos


if __name__ == "__main__":
    main()
