import json
import shutil
from pathlib import Path

import pytest

from linkbert.cli import doctor
from linkbert.cli.commands import main


def test_the_version_names_python_and_what_decides_the_bytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("linkbert ")
    for name in ("Python 3.", "numpy ", "pyarrow ", "apache-beam ", "mwparserfromhell "):
        assert name in line


def test_the_doctor_prints_machine_and_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cores"] >= 1
    assert isinstance(found["to_mend"], list)


def test_what_is_missing_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_find = doctor.find_spec
    monkeypatch.setattr(
        doctor, "find_spec", lambda name: None if name in ("torch", "py7zr") else own_find(name)
    )
    monkeypatch.setattr(shutil, "which", lambda _: None)
    full = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    found, advice = doctor.examine(tmp_path)
    assert found["gpu"] == "unknown without torch"
    told = "\n".join(advice)
    assert "pip install 'linkbert[train]'" in told
    assert "pip install 'linkbert[7z]'" in told
    assert "less than 10 GB of disk space is free" in told
    assert "no browser" in told
    assert found["engines"].startswith("local")
    assert "Prism" not in found["engines"]
