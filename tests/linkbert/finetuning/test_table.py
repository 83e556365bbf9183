"""The table over settings and seeds, and what a folder may hold."""

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linkbert.finetuning import table
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import TableJob, Trained, model_identity, run_table
from linkbert.training.run_folder import lock_run
from schemas.errors import ConfigError, StageError
from tests.forked import Forked
from tests.linkbert.ranks import environments

HYPER = Hyper(1e-3, 8, 1)


class Saved:
    """A model or a tokenizer that leaves its name in the folder where it is saved."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name, self.error = name, error

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / self.name).touch()
        if self.error:
            raise self.error


def trained(score: float, name: str = "model", error: Exception | None = None) -> Trained:
    predictions = {"dev.jsonl": f"{name}\n"}
    return Trained({"dev": {"f1": score}}, Saved(name, error), Saved("tokenizer"), predictions)


@pytest.fixture
def job(tmp_path: Path) -> TableJob:
    (tmp_path / "hf").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md"):
        (tmp_path / "hf" / name).write_text(name)
    (tmp_path / "data.tsv").write_text("")
    return TableJob("made", tmp_path / "hf", (tmp_path / "data.tsv",), "f1")


def cut_off_at(word: str, write: Callable[..., None]) -> Callable[..., None]:
    def write_or_stop(path: Path, value: Any) -> None:
        if word in path.name:
            raise KeyboardInterrupt
        write(path, value)

    return write_or_stop


def test_the_model_of_the_best_run_is_kept_whatever_came_after(
    job: TableJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeds 0 to 2 score 10, 30, 20; the run of seed 1 is cut off once between model and scores."""
    scores = {0: 10.0, 1: 30.0, 2: 20.0}
    out = tmp_path / "out"

    def run_one(hyper: Hyper, seed: int) -> Trained:
        ran.append(seed)
        return trained(scores[seed], f"model {seed}")

    ran: list[int] = []
    options = FinetuneOptions(seeds=(0, 1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(table, "write_json", cut_off_at("seed1", table.write_json))
        with pytest.raises(KeyboardInterrupt):
            run_table(job, options, [HYPER], run_one, out)
    found = run_table(job, options, [HYPER], run_one, out)
    assert ran == [0, 1, 1, 2]
    assert sorted(path.name for path in (out / "model").iterdir()) == ["model 1", "tokenizer"]
    assert (out / "predictions/dev.jsonl").read_text() == "model 1\n"
    assert found["best"]["dev"]["f1"] == {"mean": 20.0, "sd": 10.0, "by_seed": [10.0, 30.0, 20.0]}
    assert run_table(job, options, [HYPER], run_one, out) == found
    assert ran == [0, 1, 1, 2]


def once(job: TableJob, out: Path, score: float = 50.0, **options: Any) -> dict[str, Any]:
    overwrite = options.pop("overwrite", False)
    found = trained(score)
    return run_table(
        job, FinetuneOptions(**options), [HYPER], lambda *_: found, out, overwrite=overwrite
    )


@pytest.mark.parametrize(
    "changed", ["model.safetensors", "config.json", "tokenizer.json", "../data.tsv"]
)
def test_another_model_or_file_is_another_fine_tuning(
    changed: str, job: TableJob, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    once(job, out)
    (job.model / changed).write_text("other")
    with pytest.raises(ConfigError, match=r"found a different (model|data): choose another --out"):
        once(job, out)
    assert once(job, out, 70.0, overwrite=True)["best"]["dev"]["f1"]["mean"] == 70.0


def test_what_is_not_read_changes_nothing_and_an_option_does(job: TableJob, tmp_path: Path) -> None:
    out = tmp_path / "out"
    once(job, out, text_columns=("a",))
    (job.model / "README.md").write_text("other")
    once(job, out, text_columns=("a",))
    with pytest.raises(ConfigError, match="found a different fraction, text_columns"):
        once(job, out, fraction=0.5)


def test_a_models_identity_is_that_of_the_bytes_that_are_read(job: TableJob) -> None:
    safe = model_identity(job.model)
    (job.model / "pytorch_model.bin").write_text("x")
    assert model_identity(job.model) == safe
    (job.model / "model.safetensors").unlink()
    first = model_identity(job.model)
    (job.model / "pytorch_model.bin").write_text("y")
    second = model_identity(job.model)
    (job.model / "vocab.txt").write_text("z")
    assert len({safe, first, second, model_identity(job.model)}) == 4


def test_what_a_killed_one_left_is_swept(job: TableJob, tmp_path: Path) -> None:
    out = tmp_path / "out"
    once(job, out)
    for name in ("model.tmp", "predictions.tmp"):
        (out / name).mkdir()
        (out / name / "large").touch()
    for name in (".results.json.1f.tmp", "runs/.x.json.2e.tmp"):
        (out / name).touch()
    once(job, out)
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {
        ".lock", "finetune.json", "results.json", "results.md", "model/model", "model/tokenizer",
        "predictions/dev.jsonl", "runs/lr0.001-batch8-epochs1-seed0.json",
    }  # fmt: skip


def test_a_start_that_was_killed_begins_anew(job: TableJob, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()
    (out / ".finetune.json.1f.tmp").touch()
    once(job, out)
    assert not (out / ".finetune.json.1f.tmp").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_left_alone(
    overwrite: bool, job: TableJob, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"found thesis\.tex in"):
        once(job, out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_overwriting_deletes_what_was_there(job: TableJob, tmp_path: Path) -> None:
    out = tmp_path / "out"
    once(job, out, 90.0)
    (out / "runs/lr1-batch1-epochs1-seed9.json").write_text("{}")
    assert once(job, out, 10.0, overwrite=True)["best"]["dev"]["f1"]["mean"] == 10.0
    assert len(list((out / "runs").iterdir())) == 1


def test_a_second_process_in_the_folder_is_refused(job: TableJob, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with lock_run(out), pytest.raises(StageError, match="to be free"):
        once(job, out, overwrite=True)
    once(job, out)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        # safetensors and tokenizers raise their own.
        (RuntimeError("IoError(Os { code: 28, kind: StorageFull })"), StageError),
        (Exception("No space left on device (os error 28)"), StageError),
    ],
)
def test_a_full_disk_is_one_line_and_loses_no_model(
    error: Exception, expected: type[Exception], job: TableJob, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = FinetuneOptions(seeds=(0, 1))

    def run_one(hyper: Hyper, seed: int) -> Trained:
        return trained(10.0 + seed, f"model {seed}", error if seed else None)

    with pytest.raises(expected, match=r"28|No space"):
        run_table(job, options, [HYPER], run_one, out)
    assert (out / "model/model 0").is_file()
    found = run_table(job, options, [HYPER], lambda h, s: trained(20.0, "later"), out)
    assert found["best"]["dev"]["f1"]["by_seed"] == [10.0, 20.0]
    assert (out / "model/later").is_file()


SCRIPT = """
import sys
from pathlib import Path
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import TableJob, Trained, run_table
from linkbert.finetuning.training import num_processes

root = Path(sys.argv[1])

class Saved:
    def save_pretrained(self, folder):
        folder.mkdir(exist_ok=True)

def run(hyper, seed):
    with open(root / "ran", "a") as file:
        file.write(f"{seed} of {num_processes()} ")
    return Trained({"dev": {"f1": 1.0 * seed}}, Saved(), Saved(), {})

job = TableJob("made", root / "hf", (root / "data.tsv",), "f1")
run_table(job, FinetuneOptions(seeds=(1, 2)), [Hyper(1e-3, 8, 1)], run, root / "out")
"""


@pytest.mark.end_to_end
def test_two_ranks_train_each_run_and_one_writes(job: TableJob, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, tmp_path]
    ranks = [Forked(command, env=environment) for environment in environments(2)]
    assert [rank.wait() for rank in ranks] == [0, 0]
    assert sorted((tmp_path / "ran").read_text().split(" of 2 ")) == ["", "1", "1", "2", "2"]
    found = json.loads((tmp_path / "out/results.json").read_text())
    assert found["best"]["dev"]["f1"]["by_seed"] == [1.0, 2.0]
