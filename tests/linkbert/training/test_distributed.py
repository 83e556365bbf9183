"""Several ranks on one machine, over gloo, equal one rank with one big batch.

Starting ranks costs far more than their steps, so one pair of them does one job after another.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from linkbert.training.checkpoint import checkpoint_steps
from linkbert.training.trainer import pretrain
from tests.forked import Forked
from tests.linkbert.conftest import SMALL, small_config
from tests.linkbert.model.test_families import folder_of
from tests.linkbert.shards_folder import write_shards

REPOSITORY = Path(__file__).parents[3]
SETTINGS = (
    "max_steps=8", "schedule=constant", "hidden_dropout=0.0", "checkpoint_every=4",
    "batch_size=11", "micro_batch_size=3",  # two ranks have 6 and 5 sequences
)  # fmt: skip
LONG = (*SETTINGS, "max_steps=20000", "checkpoint_every=100000")

_PROGRAM = """
import json, os, sys, torch
from pathlib import Path
from linkbert.training.trainer import pretrain
from schemas.errors import LinkBertError
from tests.linkbert.conftest import small_config
torch.set_num_threads(1)
rank, told = int(os.environ["RANK"]), {}
for job in json.load(sys.stdin):
    os.environ["MASTER_PORT"] = job["port"]
    shards, run = (Path(job[name][rank]) for name in ("shards", "runs"))
    init = Path(job["init"]) if job["init"] else None
    try:
        pretrain(shards, run, small_config(*job["settings"]), seed=3, init=init)
    except LinkBertError as error:
        told[job["name"]] = str(error)
print(json.dumps(told))
"""


def curve(run: Path) -> list[list[float]]:
    keys = ("loss_mlm", "loss_drp", "grad_norm", "mlm_accuracy", "drp_accuracy", "tokens")
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [[line[key] for key in keys] for line in lines]


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def start_pair(jobs: list[dict[str, Any]]) -> list[subprocess.Popen[str]]:
    """Start two ranks that do the jobs in turn and print, {job: error}, what went wrong."""
    defaults = {"settings": SETTINGS, "init": ""}
    given = [{**defaults, "port": free_port(), **job} for job in jobs]
    shared = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2"}
    ranks = []
    for rank in ("0", "1"):
        process = Forked(
            [sys.executable, "-c", _PROGRAM],
            cwd=REPOSITORY,
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(given, default=str))
        process.stdin.close()
        process.stdin = None  # communicate would flush it
        ranks.append(process)
    return ranks


def start_nodes(shards: Path, run: Path, *settings: str) -> list[subprocess.Popen[str]]:
    """Start two torchruns of one rank each, as two machines would."""
    overrides = [part for setting in (*SMALL, *settings) for part in ("--set", setting)]
    port = free_port()
    return [
        Forked(
            [
                sys.executable, "-m", "torch.distributed.run", "--nnodes", "2",
                "--node-rank", str(node), "--nproc-per-node", "1",
                "--master-addr", "127.0.0.1", "--master-port", port,
                "-m", "linkbert", "pretrain", str(shards), "--out", str(run),
                "--config", "demo", "--seed", "3", *overrides,
            ],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]  # fmt: skip


def outputs_of(processes: list[subprocess.Popen[str]]) -> list[tuple[str, str]]:
    try:
        return [process.communicate() for process in processes]
    finally:  # a rank whose peer died would wait for it
        for process in processes:
            process.kill()


def wait_for_steps(run: Path, steps: int, processes: list[subprocess.Popen[str]]) -> None:
    path = run / "metrics.jsonl"
    while not path.exists() or len(path.read_bytes().splitlines()) < steps:
        if any(process.poll() is not None for process in processes):
            for process in processes:  # torchrun takes its rank along, but not when it is killed
                process.terminate()
            pytest.fail(f"no step {steps}: {outputs_of(processes)}")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """Return the curve of one rank that computes the whole batch at once."""
    run = tmp_path_factory.mktemp("alone") / "run"
    pretrain(shards, run, small_config(*SETTINGS, "micro_batch_size=11"), seed=3)
    return curve(run)


class Pair(NamedTuple):
    """What a pair of ranks left: the runs of its jobs, and what each rank told of each job."""

    root: Path
    told: list[dict[str, str]]
    family: Path


@pytest.fixture(scope="module")
def pair(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Let two ranks do all jobs; the last goes on until a signal reaches one of them."""
    root = tmp_path_factory.mktemp("pair")
    family = folder_of("modernbert", root / "hf", shards / "tokenizer" / "tokenizer.json")
    die_in_step(5, shards, root / "resumed")
    die_in_step(7, shards, root / "seen by one")  # as on nodes without a common disk
    others = write_shards(root / "others", seed=1)
    both = [shards, shards]
    jobs: list[dict[str, Any]] = [
        {"name": "big", "shards": both},
        {"name": "family", "shards": both, "init": family},
        {"name": "resumed", "shards": both, "settings": (*SETTINGS, "micro_batch_size=4")},
        {"name": "runs", "shards": both, "runs": [root / "seen by one", root / "elsewhere"]},
        {"name": "shards", "shards": [shards, others]},
        {"name": "signal", "shards": both, "settings": LONG},
    ]
    processes = start_pair([{"runs": [root / job["name"]] * 2, **job} for job in jobs])
    wait_for_steps(root / "signal", 5, processes)
    processes[1].send_signal(signal.SIGTERM)
    outputs = outputs_of(processes)
    assert all(process.returncode == 0 for process in processes), outputs
    return Pair(root, [json.loads(printed) for printed, _ in outputs], family)


def die_in_step(number: int, shards: Path, run: Path) -> None:
    """Let one rank die in a step, after the checkpoint of step 4."""
    from linkbert.training.learner import Learner

    run_step = Learner.run_step

    def dying(self: Learner, step: int, *rest: object) -> object:
        if step == number:
            raise KeyboardInterrupt
        return run_step(self, step, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "run_step", dying)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, run, small_config(*SETTINGS), seed=3)


def assert_same_curve(found: list[list[float]], expected: list[list[float]]) -> None:
    assert len(found) == len(expected) == 8
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.end_to_end
@pytest.mark.parametrize("job", ["big", "resumed"])
def test_ranks_learn_what_one_big_batch_teaches(
    pair: Pair, job: str, alone: list[list[float]]
) -> None:
    """Also where one rank alone had begun the run."""
    assert_same_curve(curve(pair.root / job), alone)


@pytest.mark.end_to_end
def test_ranks_of_another_family_learn_what_one_big_batch_teaches(
    pair: Pair, shards: Path, tmp_path: Path
) -> None:
    config = small_config(*SETTINGS, "micro_batch_size=11")
    pretrain(shards, tmp_path / "alone", config, seed=3, init=pair.family)
    assert_same_curve(curve(pair.root / "family"), curve(tmp_path / "alone"))


@pytest.mark.end_to_end
@pytest.mark.parametrize("different", ["runs", "shards"])
def test_ranks_that_see_different_folders_say_so(pair: Pair, different: str) -> None:
    for told in pair.told:
        assert "expected every rank to find the same shards" in told[different]


def assert_stopped_after_a_saved_step(run: Path, told: list[str]) -> None:
    (step,) = checkpoint_steps(run)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, step + 1))
    expected = f"stopped by a signal after step {step} of 20000, which is saved"
    assert all(expected in text for text in told), told


@pytest.mark.end_to_end
def test_signal_to_one_rank_stops_all_after_the_same_step(pair: Pair) -> None:
    assert_stopped_after_a_saved_step(pair.root / "signal", [told["signal"] for told in pair.told])
    assert all(told.keys() == {"runs", "shards", "signal"} for told in pair.told)


def test_micro_batches_learn_what_one_big_batch_teaches(
    shards: Path, tmp_path: Path, alone: list[list[float]]
) -> None:
    pretrain(shards, tmp_path / "run", small_config(*SETTINGS, "micro_batch_size=1"), seed=3)
    assert_same_curve(curve(tmp_path / "run"), alone)


@pytest.mark.end_to_end
def test_two_nodes_learn_what_one_big_batch_teaches_and_a_signal_to_one_saves_it(
    shards: Path, tmp_path: Path, alone: list[list[float]]
) -> None:
    run = tmp_path / "run"
    processes = start_nodes(shards, run, *LONG)
    wait_for_steps(run, 8, processes)
    processes[0].send_signal(signal.SIGTERM)  # torchrun hands it to its ranks
    told = [errors for _, errors in outputs_of(processes)]
    assert_same_curve(curve(run)[:8], alone)
    assert_stopped_after_a_saved_step(run, told)
