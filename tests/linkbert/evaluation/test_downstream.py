"""Weights of a run in training are fine-tuned on a task, as an export of them would be."""

import json
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from linkbert.evaluation.downstream import read_downstream
from linkbert.export.export import export
from linkbert.finetuning.classify import finetune_classify
from linkbert.finetuning.options import FinetuneOptions
from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError, SchemaError
from tests.linkbert.conftest import small_config

OPTIONS = 'learning_rate = 0.01\nepochs = 1\nmax_length = 16\nmetric = "accuracy"\n'


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that names a folder beside it; a test file in it must stay unread."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "words").mkdir()
    rows = [f"w{word % 7} w{word % 5}\t{int(word % 7 < 3)}\n" for word in range(40)]
    for name, part in (("train", rows), ("dev", rows[:20])):
        (folder / "words" / f"{name}.tsv").write_text("sentence\tlabel\n" + "".join(part))
    (folder / "words" / "test.tsv").write_text("no\ttable\n\n")
    (folder / "task.toml").write_text(f'kind = "classify"\ndata = "words"\n{OPTIONS}')
    return folder / "task.toml"


def test_scores_are_those_of_fine_tuning_the_export(
    shards: Path, task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, model = tmp_path / "run", tmp_path / "model"
    config = small_config("max_steps=3", "max_position_embeddings=32")
    pretrain(shards, run, config, downstream=read_downstream(str(task), 1000))
    assert [path.name for path in run.glob(".down*")] == []
    export(run, model)
    data = [task.parent / "words" / f"{name}.tsv" for name in ("train", "dev")]
    options = FinetuneOptions(learning_rate=0.01, epochs=1, max_length=16, metric="accuracy")
    wanted = finetune_classify(model, data, tmp_path / "out", options)["best"]["dev"]
    read = [json.loads(line) for line in (run / "downstream.jsonl").read_text().splitlines()]
    assert [line["step"] for line in read] == [0, 3]
    assert read[-1]["scores"] == {name: score["mean"] for name, score in wanted.items()}
    assert main(["check", str(run)]) == 0
    # All of it is sealed.
    (run / "downstream.jsonl").write_text("")
    assert main(["check", str(run)]) == 1
    assert "downstream.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "x"\ndata = "words"', "expected kind to be one of qa, classify, tag, choice"),
        ('kind = "qa"', "expected data to be a folder or files"),
        ('kind = "qa"\ndata = "nowhere"', "found nothing there"),
        ('kind = "qa"\ndata = "."', "expected one file named train"),
        ('kind = "qa"\ndata = "words"\nepoch = 2', "did you mean 'epochs'"),
        ('kind = "qa"\ndata = "words"\nepochs = 1.5', "expected epochs to be of type int"),
        ('kind = "qa"\ndata = "words"\nseeds = ["a"]', "expected seeds to be a list of int"),
        ('kind = "qa"\ndata = "words"\ngrid = "all"', "expected grid to be one of none, paper"),
        ('kind = "qa"\ndata = "words"\ntask = 3', "expected task to be a name"),
    ],
)
def test_a_file_that_is_no_task_is_refused_before_the_run(
    task: Path, text: str, message: str
) -> None:
    wrong = task.with_name("wrong.toml")
    wrong.write_text(text)
    with pytest.raises((ConfigError, SchemaError), match=message):
        read_downstream(str(wrong), 10)


def test_kind_and_folder_are_enough(task: Path) -> None:
    found = read_downstream(f"qa:{task.parent / 'words'}", 10)
    assert (found.name, found.options.max_length) == ("qa words", 384)
    for given in ("words", f"sorting:{task.parent / 'words'}"):
        with pytest.raises(ConfigError):
            read_downstream(given, 10)
