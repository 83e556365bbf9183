"""Example pages hang together."""

from pathlib import Path

import numpy as np

from linkbert.inspection.corpus import Corpus
from linkbert.report.examples import choose_examples
from tests.linkbert.inspection.odd_corpus import TITLES


def test_examples_hang_together_and_are_the_same_each_time(odd: Path) -> None:
    chosen = choose_examples(Corpus(odd), 5, 3)
    assert len(set(chosen)) == 8
    assert chosen == choose_examples(Corpus(odd), 5, 3)
    # The most linked page comes first: all hatnotes lead to it.
    assert chosen[0] == int(np.argmax(Corpus(odd).degrees("in")))
    assert len(choose_examples(Corpus(odd), 50, 50)) == len(TITLES)
