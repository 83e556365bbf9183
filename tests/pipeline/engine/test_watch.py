from pathlib import Path

import pytest

from pipeline.engine import flink, watch
from pipeline.engine.claim import Claim
from pipeline.engine.options import pipeline_options
from pipeline.engine.stopping import Stopping
from pipeline.engine.watch import Watch, is_ended
from schemas.errors import DumpError, StageError
from tests.pipeline.engine.counting_stage import counting_job

FLINK = ["--runner=FlinkRunner", "--flink_master=localhost:9", "--job_name=ours"]


def watch_of(root: Path) -> Watch:
    options = pipeline_options(FLINK)
    return Watch(counting_job(root), options, Claim(str(root)), Stopping())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flink, "job_named", lambda master, name: {"jid": "7", "state": "FAILED"})


@pytest.mark.usefixtures("told")
def test_what_flink_keeps_is_told_where_beam_knows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cause = "schemas.errors.DumpError: expected a dump, found none"
    monkeypatch.setattr(flink, "root_cause", lambda master, name: cause)
    with pytest.raises(DumpError, match=r"^expected a dump"), watch_of(tmp_path).failures():
        raise RuntimeError("unknown error")
    assert "http://localhost:9/#/job/7" in caplog.text


@pytest.mark.usefixtures("told")
def test_a_cause_that_nobody_knows_names_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flink, "root_cause", lambda master, name: "")
    log = tmp_path / "_state/counting-engine.log"
    with pytest.raises(StageError, match=f"found heap: see {log}"), watch_of(tmp_path).failures():
        raise RuntimeError("out of\nheap")


def test_only_flink_can_tell_that_a_job_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch.flink, "has_ended", lambda master, name: name == "old")
    assert is_ended({"flink": "http://flink", "job": "old"})
    assert not is_ended({"flink": "http://flink", "job": "new"})
    assert not is_ended({"job": "old"})
