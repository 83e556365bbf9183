"""Threads follow what the machine gives, and what cannot fit its memory is one line."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from linkbert.loader.dataset import mean_tokens, open_split
from linkbert.model.network import LinkBert, ModelConfig, num_parameters
from linkbert.training import machine as machine_module
from linkbert.training.machine import (
    compute_threads,
    idle_processors,
    memory_bytes,
    usable_processors,
)
from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError
from tests.linkbert.conftest import small_config


def watch(monkeypatch: pytest.MonkeyPatch, busy: float) -> None:
    """Let others compute on so many of the eight processors while a run looks."""
    times = iter([(5000, 9000), (5000 + round(200 * (8 - busy)), 9000 + 200 * 8)])
    monkeypatch.setattr(machine_module, "_processor_times", lambda: next(times))
    monkeypatch.setattr(machine_module, "_WATCHED_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processors, of which the process may use six, without a container or others' work."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    watch(monkeypatch, busy=0.3)
    monkeypatch.setattr(machine_module, "_quota", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def number(wanted: int = 0, begun_with: int | None = None, ranks: int = 1) -> int:
    before = torch.get_num_threads()
    with compute_threads(wanted, begun_with, ranks) as found:
        assert torch.get_num_threads() == found
    assert torch.get_num_threads() == before
    return found


@pytest.mark.parametrize(("busy", "expected"), [(0.9, 6), (2.0, 6), (3.3, 5), (7.4, 1), (8.0, 1)])
def test_others_keep_the_processors_that_they_use(
    monkeypatch: pytest.MonkeyPatch, busy: float, expected: int
) -> None:
    watch(monkeypatch, busy)
    assert number() == expected


def test_what_ended_a_moment_ago_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (8.0, 8.0, 8.0))
    assert number() == 6


def test_where_the_system_does_not_tell_all_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(machine_module, "_PROCESSOR_TIMES", tmp_path / "none")
    assert idle_processors() == 8


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, 6), (2.0, 2), (1.5, 2), (0.2, 1), (64.0, 6)]
)
def test_a_container_grants_less(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(machine_module, "_quota", lambda: quota)
    assert usable_processors() == expected
    assert number() == expected


@pytest.mark.parametrize(("ranks", "expected"), [(2, 3), (99, 1)])
def test_ranks_share_a_machine(ranks: int, expected: int) -> None:
    assert number(ranks=ranks) == expected


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system has no /proc/stat")
def test_processors_are_idle_for_a_part_of_all_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    idle, total = machine_module._processor_times()
    assert 0 < idle < total


def test_a_wanted_number_and_one_of_the_environment_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert number(wanted=7) == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert number() == 2


def test_a_run_goes_on_with_the_number_it_began_with(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch(monkeypatch, busy=8.0)
    with caplog.at_level("INFO"):
        assert number(begun_with=4) == 4
    assert not caplog.text
    with caplog.at_level("INFO"):
        assert number(begun_with=16) == 6
    assert "CPU threads: 6, where the run began with 16" in caplog.text


@pytest.mark.parametrize(
    ("groups", "own", "expected"),
    [
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"a/cpu.max": "max 100000", "a/b/cpu.max": "200000 100000"}, "0::/a/b", 2.0),
        ({"a/cpu.max": "50000 100000", "a/b/cpu.max": "200000 100000"}, "0::/a/b", 0.5),
        ({"cpu.max": "300000 100000"}, "0::/of/the/host", 3.0),
        ({"cpu,cpuacct/x/cpu.cfs_quota_us": "250000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
         "4:cpu,cpuacct:/x", 2.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", None),
        ({"cpu.max": "damaged"}, "0::/", None),
        ({}, "2:memory:/x", None),
    ],
)  # fmt: skip
def test_quotas_of_control_groups(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: dict[str, str],
    own: str,
    expected: float | None,
) -> None:
    monkeypatch.undo()
    for name, text in groups.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "own").write_text(own + "\n")
    assert machine_module._quota(tmp_path / "groups", tmp_path / "own") == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "batch_size=100_000_000",
            r"found batch_size 100,000,000, which takes \d+\.\d GB at least",
        ),
        ("micro_batch_size=20_000_000", "found micro_batch_size 20,000,000, which takes"),
        ("hidden_size=2_000_000", r"found a network of [\d,]+ weights, which takes"),
        ("num_layers=1_000_000_000", r"found a network of [\d,]+ weights"),
        ("intermediate_size=1_000_000_000", r"found a network of [\d,]+ weights"),
        ("max_position_embeddings=1_000_000_000", r"found a network of [\d,]+ weights"),
    ],
)
def test_sizes_beyond_the_memory_are_one_line(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, said: str
) -> None:
    monkeypatch.setattr(machine_module, "memory_bytes", lambda: 24 * 10**9)
    settings = ("batch_size=20_000_000", setting) if "micro" in setting else (setting,)
    with pytest.raises(ConfigError, match=said) as caught:
        pretrain(shards, tmp_path / "run", small_config("max_steps=9", *settings))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_size_of_a_network_is_that_of_its_weights() -> None:
    for shape in ((64, 32, 2, 2, 48, 40), (99, 12, 3, 1, 7, 5)):
        made = LinkBert(ModelConfig(*shape))
        assert num_parameters(made.config) == sum(each.numel() for each in made.parameters())


def test_the_mean_of_tokens_is_that_of_the_first_rows(shards: Path) -> None:
    split = open_split(shards / "train")
    rows = split.row_groups[0].num_rows
    lengths = pq.read_table(split.row_groups[0].path, columns=["num_tokens"])["num_tokens"]
    # Headers count too, which shows in row groups of 20.
    assert mean_tokens(split) == pytest.approx(lengths[:rows].to_numpy().mean() + 1.5, abs=2)


@pytest.mark.parametrize(
    ("groups", "own", "expected"),
    [
        ({"memory.max": "max"}, "0::/", None),
        ({"a/memory.max": "5000000", "a/b/memory.max": "max"}, "0::/a/b", 5_000_000),
        ({"memory/x/memory.limit_in_bytes": "7000"}, "4:memory:/x", 7000),
        ({"memory.max": "damaged"}, "0::/", None),
    ],
)
def test_a_container_grants_less_memory(
    tmp_path: Path, groups: dict[str, str], own: str, expected: int | None
) -> None:
    for name, text in groups.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "own").write_text(own + "\n")
    whole = memory_bytes(tmp_path / "none", tmp_path / "none")
    assert whole > 10**8
    found = memory_bytes(tmp_path / "groups", tmp_path / "own")
    assert found == (whole if expected is None else expected)
