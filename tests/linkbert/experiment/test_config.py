"""The TOML file of an experiment: what is wrong in it is one line."""

from pathlib import Path

import pytest

from linkbert.experiment.config import load_experiment
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("passes = 1", "pases = 1", "'passes'"),
        ('"no-drp"', '"no-dpr"', "no-dpr"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "distinct seeds"),
        ("max_steps = 2", "max_step = 2", r"'max_step' in \[set\] of .*wrong.toml: .*'max_steps'"),
        ("max_steps = 2", "max_steps = -2", "found -2, for the pretraining that .*wrong.toml"),
        ("[set]", "[warm_up_set]\nmax_step = 2\n[set]", r"'max_step' in \[warm_up_set\] of "),
        ("epochs = 1", "epochs = 0", "epochs"),
        ('corpus = "corpus"', "", "corpus"),
        ('corpus = "corpus"', "corpus = 3", "corpus to be of type str"),
        ("epochs = 1", 'epochs = "1"', "epochs to be of type int"),
        ("epochs = 1", "epochs = true", "epochs to be of type int"),
        ("seeds = [0, 1]", "seeds = [0.5]", "seeds to be a list of int"),
        ("seeds = [0, 1]", "seeds = [-1]", "seeds of at least 0"),
        ("seeds = [0, 1]", 'seeds = "01"', "seeds to be a list of int"),
        ("validation_fraction = 0.3", "validation_fraction = 1.5", "validation_fraction above 0"),
        ("ranking_pairs = 8", "ranking_pairs = -1", "ranking_pairs of at least 0"),
        ("epochs = 1", "epochs = 1\nwarm_up_steps = 5", "both warm_up_corpus and warm_up_steps"),
        ("epochs = 1", 'epochs = 1\nsplits = ["train"]', "splits among"),
        ("epochs = 1", 'epochs = 1\nmix = ["a"]', "mix to be a list of float"),
        ("[set]", "set = 3\n[other]", "'set'|table|unknown"),
        ("[set]", "[warm_up_set]\nmax_steps = 2\n[set]", "warm_up_steps beside"),
    ],
)
def test_a_wrong_experiment_is_one_line(
    old: str, new: str, said: str, experiment_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text(experiment_file.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=said):
        load_experiment(tmp_path / "wrong.toml")
