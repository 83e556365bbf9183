"""Several ranks on one machine, over gloo, equal one rank with one big batch."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from linkbert.training.checkpoint import checkpoint_steps
from linkbert.training.trainer import pretrain
from tests.linkbert.conftest import SMALL, small_config
from tests.linkbert.model.test_families import folder_of
from tests.linkbert.shards_folder import write_shards

REPOSITORY = Path(__file__).parents[3]
SETTINGS = ("max_steps=8", "hidden_dropout=0.0", "micro_batch_size=3", "checkpoint_every=4")

_PROGRAM = """
import sys, torch
from pathlib import Path
from linkbert.training.trainer import pretrain
from tests.linkbert.conftest import small_config
torch.set_num_threads(1)
init = [Path(each[5:]) for each in sys.argv[3:] if each.startswith("init=")]
config = small_config(*(each for each in sys.argv[3:] if not each.startswith("init=")))
pretrain(Path(sys.argv[1]), Path(sys.argv[2]), config, seed=3, init=init[0] if init else None)
"""


def curve(run: Path) -> list[list[float]]:
    keys = ("loss_mlm", "loss_drp", "grad_norm", "mlm_accuracy", "drp_accuracy", "tokens")
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [[line[key] for key in keys] for line in lines]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def start_ranks(
    shards: Path | list[Path], run: Path | list[Path], num_ranks: int, *settings: str
) -> list[subprocess.Popen[str]]:
    """Start ranks on the same folders, or each on its own."""
    all_shards = shards if isinstance(shards, list) else [shards] * num_ranks
    runs = run if isinstance(run, list) else [run] * num_ranks
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(all_shards[rank]), str(runs[rank]), *settings],
            cwd=REPOSITORY,
            env={
                **os.environ,
                **where,
                "WORLD_SIZE": str(num_ranks),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(num_ranks)
    ]


def start_nodes(shards: Path, run: Path, *settings: str) -> list[subprocess.Popen[str]]:
    """Start two torchruns of one rank each, as two machines would."""
    overrides = [part for setting in (*SMALL, *settings) for part in ("--set", setting)]
    port = str(free_port())
    return [
        subprocess.Popen(
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


def errors_of(processes: list[subprocess.Popen[str]]) -> list[str]:
    try:
        return [process.communicate()[1] for process in processes]
    finally:  # a rank whose peer died would wait for it
        for process in processes:
            process.kill()


def train_with_ranks(shards: Path, run: Path, num_ranks: int, *settings: str) -> None:
    processes = start_ranks(shards, run, num_ranks, *settings)
    errors = errors_of(processes)
    assert all(process.returncode == 0 for process in processes), errors


def wait_for_steps(run: Path, steps: int) -> None:
    path, deadline = run / "metrics.jsonl", time.monotonic() + 80
    while not path.exists() or len(path.read_bytes().splitlines()) < steps:
        assert time.monotonic() < deadline, f"no step {steps} in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """Return the curve of one rank that computes the whole batch at once."""
    run = tmp_path_factory.mktemp("alone") / "run"
    pretrain(shards, run, small_config(*SETTINGS, "micro_batch_size=12"), seed=3)
    return curve(run)


def assert_same_curve(found: list[list[float]], expected: list[list[float]]) -> None:
    assert len(found) == len(expected) == 8
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.end_to_end
def test_ranks_learn_what_one_big_batch_teaches(
    shards: Path, tmp_path: Path, alone: list[list[float]]
) -> None:
    # 3 ranks have 4 sequences each, in micro-batches of 3 and 1.
    train_with_ranks(shards, tmp_path / "run", 3, *SETTINGS)
    assert_same_curve(curve(tmp_path / "run"), alone)


@pytest.mark.end_to_end
def test_ranks_of_another_family_learn_what_one_big_batch_teaches(
    shards: Path, tmp_path: Path
) -> None:
    tokenizer = shards / "tokenizer" / "tokenizer.json"
    folder = folder_of("modernbert", tmp_path / "hf", tokenizer)
    config = small_config(*SETTINGS, "micro_batch_size=12")
    pretrain(shards, tmp_path / "alone", config, seed=3, init=folder)
    train_with_ranks(shards, tmp_path / "run", 2, *SETTINGS, f"init={folder}")
    assert_same_curve(curve(tmp_path / "run"), curve(tmp_path / "alone"))


def test_micro_batches_learn_what_one_big_batch_teaches(
    shards: Path, tmp_path: Path, alone: list[list[float]]
) -> None:
    pretrain(shards, tmp_path / "run", small_config(*SETTINGS, "micro_batch_size=1"), seed=3)
    assert_same_curve(curve(tmp_path / "run"), alone)


@pytest.mark.end_to_end
def test_run_of_one_rank_goes_on_with_two(
    shards: Path, tmp_path: Path, alone: list[list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkbert.training.learner import Learner

    run_step = Learner.run_step

    def dying(self: Learner, step: int, *rest: object) -> object:
        if step == 5:
            raise KeyboardInterrupt
        return run_step(self, step, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "run_step", dying)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, tmp_path / "run", small_config(*SETTINGS), seed=3)
    train_with_ranks(shards, tmp_path / "run", 2, *SETTINGS, "micro_batch_size=4")
    assert_same_curve(curve(tmp_path / "run"), alone)


LONG = ("max_steps=20000", "checkpoint_every=100000")


def assert_stopped_after_a_saved_step(run: Path, errors: list[str]) -> None:
    (step,) = checkpoint_steps(run)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, step + 1))
    told = f"stopped by a signal after step {step} of 20000, which is saved"
    assert all(told in text for text in errors), errors


@pytest.mark.end_to_end
def test_signal_to_one_rank_stops_all_after_the_same_step(shards: Path, tmp_path: Path) -> None:
    processes = start_ranks(shards, tmp_path / "run", 2, *LONG)
    wait_for_steps(tmp_path / "run", 5)
    processes[1].send_signal(signal.SIGTERM)
    errors = errors_of(processes)
    assert [process.returncode for process in processes] == [1, 1]
    assert_stopped_after_a_saved_step(tmp_path / "run", errors)


@pytest.mark.end_to_end
def test_two_nodes_learn_what_one_big_batch_teaches(
    shards: Path, tmp_path: Path, alone: list[list[float]]
) -> None:
    processes = start_nodes(shards, tmp_path / "run", *SETTINGS)
    errors = errors_of(processes)
    assert all(process.returncode == 0 for process in processes), errors
    assert_same_curve(curve(tmp_path / "run"), alone)


@pytest.mark.end_to_end
def test_signal_to_one_node_saves_what_all_have_learned(shards: Path, tmp_path: Path) -> None:
    processes = start_nodes(shards, tmp_path / "run", *LONG)
    wait_for_steps(tmp_path / "run", 5)
    processes[0].send_signal(signal.SIGTERM)  # torchrun hands it to its ranks
    errors = errors_of(processes)
    assert_stopped_after_a_saved_step(tmp_path / "run", errors)


@pytest.mark.end_to_end
@pytest.mark.parametrize("different", ["run", "shards"])
def test_ranks_that_see_different_folders_say_so(
    shards: Path, tmp_path: Path, different: str
) -> None:
    runs, all_shards = [tmp_path / "run"] * 2, [shards] * 2
    if different == "run":  # as on nodes without a common disk, when they resume
        runs = [tmp_path / "run", tmp_path / "elsewhere"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("linkbert.training.run_folder.finish_run", lambda *_: None)
            pretrain(shards, runs[0], small_config(*SETTINGS), seed=3)
    else:
        all_shards = [shards, write_shards(tmp_path / "others", seed=1)]
    processes = start_ranks(all_shards, runs, 2, *SETTINGS)
    errors = errors_of(processes)
    assert [process.returncode for process in processes] == [1, 1]
    assert all("expected every rank to find the same shards" in text for text in errors), errors
