"""The number of threads follows what the machine gives."""

import os
from pathlib import Path

import pytest
import torch

from linkbert.training import threads
from linkbert.training.threads import compute_threads, idle_processors, usable_processors


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processors, of which the process may use six, without a container or others' work."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    monkeypatch.setattr(os, "getloadavg", lambda: (0.3, 0.0, 0.0))
    monkeypatch.setattr(threads, "_quota", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def number(wanted: int = 0, begun_with: int | None = None, ranks: int = 1) -> int:
    before = torch.get_num_threads()
    with compute_threads(wanted, begun_with, ranks) as found:
        assert torch.get_num_threads() == found
    assert torch.get_num_threads() == before
    return found


@pytest.mark.parametrize(("load", "expected"), [(0.9, 6), (2.0, 6), (3.5, 5), (7.9, 1), (99.0, 1)])
def test_others_keep_the_processors_that_they_use(
    monkeypatch: pytest.MonkeyPatch, load: float, expected: int
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert number() == expected


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, 6), (2.0, 2), (1.5, 2), (0.2, 1), (64.0, 6)]
)
def test_a_container_grants_less(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(threads, "_quota", lambda: quota)
    assert usable_processors() == expected
    assert number() == expected


def test_ranks_share_a_machine() -> None:
    assert (number(ranks=2), number(ranks=99)) == (3, 1)


def test_a_wanted_number_and_one_of_the_environment_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert number(wanted=7) == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert number() == 2


def test_a_run_goes_on_with_the_number_it_began_with(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (8.0, 0.0, 0.0))
    with caplog.at_level("INFO"):
        assert number(begun_with=4) == 4
    assert not caplog.text
    with caplog.at_level("INFO"):
        assert number(begun_with=16) == 6
    assert "computing with 6 threads, where the run began with 16" in caplog.text


def test_at_least_one_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1000.0, 0.0, 0.0))
    assert idle_processors() == 1


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
    assert threads._quota(tmp_path / "groups", tmp_path / "own") == expected
