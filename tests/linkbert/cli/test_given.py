"""A path that leads nowhere is told with what was meant, before anything is written."""

import shlex
from pathlib import Path

import pytest

from tests.linkbert.cli.test_bad_inputs import line_of


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("graph corpsu", "at corpsu, found nothing there: did you mean corpus?"),
        ("sample corpus books:none --out s", "the folder of a corpus at books:none, found"),
        ("pretrain nothere --out r --config tiny", "a folder that `linkbert sample` wrote at noth"),
        ("pretrain corpus --out r --config tiny", "the folder `train` of shards in corpus"),
        ("run dump.xml --out r --config tiny --init nothere", "the folder of a model at nothere"),
        ("run dump.xml --out r --config base --init corpus", "or a folder that holds one, found n"),
        ("run dump.xml --out r --config tiny --from nothere", "a tokenizer.json, a vocab.txt or"),
        ("run dump.xml --out r --config tiny --max-tokens 300", "--max-tokens of at most 254"),
        ("run dump.xml --out r --config tiny --mix nan 0 1", "expected mix to be three shares"),
        ("parse dump.xml --out dump.xml", "a folder to write, found the file dump.xml"),
        ("parse https://example.org/a.xml --out c", "an address of the web at https://example"),
        ("parse dump.xml --out https://example.org/c", "an address of the web at https://exam"),
        ("parse odd://x/a.xml --out c", "a store that Beam can open, found odd://x: give gs://"),
        ("graph dump.xml", "the folder of a corpus at dump.xml, found a file: name its folder"),
        ("graph corpus -- --wokers=2", "expected options of Beam after `--`, found --wokers=2"),
        ("show corpus -- --page=A", "expected nothing after `--`, found --page=A: show runs no"),
        ("parse dump.xml --out ''", "expected a path, found an empty one"),
        ("show corpus --page X", "found no nodes in corpus: run `linkbert graph corpus` first"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_written(
    argv: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "dump.xml").write_text("<mediawiki><page></page></mediawiki>")
    assert said in line_of(shlex.split(argv), capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "dump.xml"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("graph shards", "a corpus at shards, found what `linkbert sample` wrote: name another"),
        ("sample run --out s", "a corpus at run, found what `linkbert pretrain` wrote: name"),
        ("segment .", "a corpus at ., found one below it: did you mean corpus?"),
        ("pretrain corpus --out r --config tiny", "`linkbert sample` wrote at corpus, found what"),
        ("pretrain . --out r --config tiny", "wrote at ., found one below it: did you mean shards"),
        ("evaluate drp run shards", "make a model of it first, `linkbert export run --out model`"),
        ("pretrain shards --out r --config tiny --init corpus", "the folder of a model at corpus"),
        ("finetune qa bert-base-uncased corpus --out r", "`hf download bert-base-uncased --local"),
        ("tokenizer corpus --from google-bert/bert-base", "--local-dir bert-base`"),
        (
            "subset corpus --around A --size 1 --out ./corpus",
            "beside what is read, found corpus",
        ),
        ("sample corpus --out run", "`linkbert sample` writes, found in run what `linkbert pretr"),
        ("show shards --page A", "expected a corpus, found shards in shards: name a folder that"),
        ("parse dump.xml --out shards", "`linkbert parse` writes, found in shards what `linkbert"),
        ("run dump.xml --out corpus --config tiny", "found in corpus what `linkbert parse` or"),
    ],
)
def test_a_folder_of_another_kind_is_told_with_what_it_is(
    argv: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus/_state/ingest").mkdir(parents=True)
    (tmp_path / "shards/_state/sample").mkdir(parents=True)
    (tmp_path / "shards/train").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/_manifest.json").write_text('{"stage": "pretrain"}')
    (tmp_path / "dump.xml").write_text("<mediawiki><page></page></mediawiki>")
    before = sorted(tmp_path.rglob("*"))
    assert said in line_of(shlex.split(argv), capsys)
    assert sorted(tmp_path.rglob("*")) == before
