"""Kill processes at random while stages run, give the same command again, compare every byte.

    python -m tests.torture [DUMP] [--kills 30] [--seed 0] [--workers 2]

Each stage runs once undisturbed, then again and again in another folder, where at a random moment a
random process of the command (the main one, a worker, the server that forks them) gets a kill -9.
After a dead worker the command must end well by itself; after a dead main process its workers must
be gone within seconds, and the same command must end well. What then lies there must be what lies
in the undisturbed folder, to the byte, manifests too, with nothing beside it; the next same command
must say that it is finished. Rounds go on until so many kills have struck.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.forked import Forked
from tests.pipeline.engine.counting_stage import tree_bytes

REPOSITORY = Path(__file__).parents[1]
SHINTOWIKI = "shared/data/dumps/shintowiki/shintowiki-20260531-pages-articles-multistream.xml.bz2"

STAGES = ("parse", "graph", "segment", "sample")
"""Those that are disturbed; `tokenizer` runs once, between graph and segment."""

_OUTPUTS = {
    "parse": ("pages", "redirects", "rejects"),
    "graph": ("nodes", "edges", "mentions", "index", "csr"),
    "segment": ("segments", "tokens"),
}
_SPLIT = ("--validation-fraction", "0.1")
_SHARE_MAIN = 0.4
_GONE_WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Chain:
    """The commands from a dump to shards under one folder."""

    dump: str
    root: Path
    workers: int
    options: tuple[str, ...] = ()

    def command(self, stage: str) -> list[str]:
        """Return the command of a stage."""
        corpus, shards = str(self.root / "corpus"), str(self.root / "shards")
        arguments = {
            "parse": [self.dump, "--out", corpus],
            "graph": [corpus],
            "tokenizer": [corpus, "--vocab-size", "2000"],
            "segment": [corpus, "--max-tokens", "62"],
            "sample": [corpus, "--out", shards, "--epochs", "2", *_SPLIT, *self.options],
        }[stage]
        workers = ["--workers", str(self.workers)]
        return [sys.executable, "-m", "linkbert", stage, *arguments, *workers, "--json"]

    def forget(self, stage: str) -> None:
        """Delete what a stage has written."""
        if stage == "sample":
            shutil.rmtree(self.root / "shards", ignore_errors=True)
            return
        for name in (*_OUTPUTS[stage], f"_state/{stage}"):
            shutil.rmtree(self.root / "corpus" / name, ignore_errors=True)


@dataclass(slots=True)
class Tally:
    """What was killed, by stage and kind of process, and how many times commands were given."""

    kills: Counter[str] = field(default_factory=Counter)
    commands: int = 0


def start(command: list[str]) -> subprocess.Popen[str]:
    """Start a command in a session of its own."""
    return Forked(
        command,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def run(command: list[str]) -> tuple[float, str]:
    """Run a command to its end; return the seconds it took and what it logged.

    Raises:
        RuntimeError: it failed.
    """
    started = time.monotonic()
    process = start(command)
    log = process.communicate()[1]
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}: {log}")
    return time.monotonic() - started, log


def processes_of(session: int) -> dict[int, str]:
    """Return the living processes of a session and what each is: main, worker or server."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_text()
        except OSError:
            continue
        if int(stat[3]) == session and stat[0] != "Z":
            is_server = "resource_tracker" in command or int(stat[1]) == session
            kind = "server" if is_server else "worker"
            found[int(entry.name)] = "main" if int(entry.name) == session else kind
    return found


def disturb(command: list[str], delay: float, choice: random.Random) -> tuple[str, int, str]:
    """Start a command and kill one of its processes after a while.

    Returns:
        The kind of process that was killed, empty where the command had ended before; its exit
        status; its log.

    Raises:
        RuntimeError: processes outlive the command.
    """
    process = start(command)
    with_time = time.monotonic() + delay
    while process.poll() is None and time.monotonic() < with_time:
        time.sleep(0.005)
    victims = processes_of(process.pid) if process.poll() is None else {}
    killed = ""
    if victims:
        others = sorted(pid for pid in victims if pid != process.pid)
        is_main = not others or choice.random() < _SHARE_MAIN
        victim = process.pid if is_main else choice.choice(others)
        killed = victims[victim]
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            killed = ""
    log = process.communicate()[1]
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while left := processes_of(process.pid):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{left} outlived {command} after the kill of its {killed}")
        time.sleep(0.05)
    return killed, process.returncode, log


def torture_stage(
    chain: Chain, stage: str, calm: Chain, seconds: float, num_kills: int, choice: random.Random
) -> Tally:
    """Disturb a stage until so many kills have struck; compare after every round.

    Raises:
        RuntimeError: a command did not end as it must.
        AssertionError: the bytes differ.
    """
    tally = Tally()
    while sum(tally.kills.values()) < num_kills:
        chain.forget(stage)
        is_done = False
        while not is_done:
            struck = sum(tally.kills.values()) >= num_kills
            delay = 1e9 if struck else choice.uniform(0.0, seconds)
            killed, status, log = disturb(chain.command(stage), delay, choice)
            tally.commands += 1
            if killed:
                tally.kills[killed] += 1
            if killed in ("", "worker") and status:
                raise RuntimeError(f"{stage} ended with {status} after a dead {killed}: {log}")
            is_done = status == 0
        assert_same(calm.root, chain.root, stage)
    return tally


def assert_same(calm: Path, disturbed: Path, stage: str) -> None:
    """Compare all that a stage has written.

    Raises:
        AssertionError: a file is other, missing or too many.
    """
    folders = ("shards",) if stage == "sample" else [f"corpus/{n}" for n in _OUTPUTS[stage]]
    for folder in folders:
        expected, found = tree_bytes(calm / folder), tree_bytes(disturbed / folder)
        assert sorted(found) == sorted(expected), (folder, sorted(found), sorted(expected))
        changed = [name for name in expected if found[name] != expected[name]]
        assert not changed, (folder, changed)


def torture(calm: Chain, chain: Chain, num_kills: int, seed: int) -> dict[str, Tally]:
    """Run the chain undisturbed, then disturb its stages in turn; return what was done to each."""
    choice = random.Random(seed)
    tallies = {}
    shares = {stage: num_kills // 4 + (num_kills % 4 > i) for i, stage in enumerate(STAGES)}
    for stage in (*STAGES[:2], "tokenizer", *STAGES[2:]):
        seconds, _ = run(calm.command(stage))
        if stage == "tokenizer":
            run(chain.command(stage))
            continue
        tallies[stage] = torture_stage(chain, stage, calm, seconds, shares[stage], choice)
        log = run(chain.command(stage))[1]
        if "already finished" not in log:
            raise RuntimeError(f"expected {stage} to say that it is finished, found: {log}")
        print(
            f"{stage}: undisturbed in {seconds:.1f} s; {tallies[stage].commands} commands, "
            f"killed {json.dumps(tallies[stage].kills)}; same bytes",
            flush=True,
        )
    return tallies


def main() -> None:
    """Torture the chain on a dump."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", nargs="?", default=str(REPOSITORY.parent / SHINTOWIKI))
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--join", choices=("gather", "shuffle"), default="gather")
    args = parser.parse_args()
    options = ("--join", args.join)
    with tempfile.TemporaryDirectory() as folder:
        calm, chain = (
            Chain(args.dump, Path(folder, name), args.workers, options)
            for name in ("calm", "disturbed")
        )
        torture(calm, chain, args.kills, args.seed)


if __name__ == "__main__":
    main()
