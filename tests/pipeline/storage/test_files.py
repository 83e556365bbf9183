from pathlib import Path
from types import SimpleNamespace

import pytest
from apache_beam.io import filesystems

from pipeline.storage import files


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = str(tmp_path / "deep" / "part")
    with pytest.raises(TypeError), files.write_whole(target) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert list((tmp_path / "deep").iterdir()) == []
    with files.write_whole(target) as file:
        file.write(b"whole")
        assert not Path(target).exists()
    assert files.read_bytes(target) == b"whole"


def test_patterns_match_sorted_files_only(tmp_path: Path) -> None:
    for name in ("b.xml", "a.xml", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "d.xml").mkdir()
    found = files.matching(str(tmp_path / "*.xml"))
    assert [Path(path).name for path in found] == ["a.xml", "b.xml"]
    assert files.matching(str(tmp_path / "none*")) == []


def test_a_name_with_brackets_is_a_name_before_it_is_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "wiki[1].xml"
    path.write_bytes(b"x")
    assert files.matching(str(path)) == [str(path)]


def test_a_digest_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.digest(str(tmp_path / "x")) == (
        3,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )


def test_a_local_path_is_its_own_copy(tmp_path: Path) -> None:
    with files.local_copy(str(tmp_path / "x")) as path:
        assert path == str(tmp_path / "x")


def test_remote_paths_go_through_beams_filesystems(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    store = SimpleNamespace(exists=lambda path: asked.append(path) or True)
    monkeypatch.setattr(filesystems.FileSystems, "get_filesystem", staticmethod(lambda path: store))
    assert files.exists("gs://bucket/corpus/pages/_manifest.json")
    assert asked == ["gs://bucket/corpus/pages/_manifest.json"]
