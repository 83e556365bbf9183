"""A folder has one writer, and a writer that wrote nothing leaves nothing."""

from pathlib import Path

import pytest

from schemas.errors import StageError
from schemas.folder_lock import lock_folder


def test_a_second_writer_is_told_who_is_first(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path, "_state/_lock", {"process": 7, "host": "here"}),
        pytest.raises(StageError, match=r"another run writing into it \(process 7, host here\)"),
        lock_folder(tmp_path, "_state/_lock"),
    ):
        pass


@pytest.mark.parametrize("was_there", ["", "new", "new/deep"])
def test_what_was_made_for_nothing_goes_and_what_was_there_stays(
    tmp_path: Path, was_there: str
) -> None:
    (tmp_path / was_there).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ValueError, match="a fault"), lock_folder(tmp_path / "new/deep", "_s/_lock"):
        raise ValueError("a fault")
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == [each for each in ("new", "new/deep") if was_there.startswith(each)]


def test_the_lock_stays_beside_what_was_written(tmp_path: Path) -> None:
    for _ in range(2):
        with lock_folder(tmp_path / "out", "_state/_lock"):
            (tmp_path / "out/part").touch()
            (tmp_path / "out/_state/note").touch()
    assert (tmp_path / "out/_state/_lock").read_bytes() == b""


def test_a_lock_that_its_holder_removed_while_it_was_opened_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two writers would each hold a file of the same name."""
    from schemas import folder_lock

    lock = folder_lock.fcntl.flock
    removed: list[Path] = []

    def remove_first(*given: object) -> None:
        if not removed:
            removed.append(tmp_path / ".lock")
            removed[0].unlink()
        lock(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_lock.fcntl, "flock", remove_first)
    with lock_folder(tmp_path), pytest.raises(StageError), lock_folder(tmp_path):
        pass
    assert removed
