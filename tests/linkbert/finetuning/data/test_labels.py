"""What labels are, told by themselves."""

import pytest

from linkbert.finetuning.data.labels import CLASS, SCORE, SEVERAL, labels_of


@pytest.mark.parametrize(
    ("labels", "kind", "expected"),
    [
        (("1", "2"), "auto", CLASS), (("1.0", "2.0"), "auto", CLASS),
        (("1.5", "2"), "auto", SCORE), (("1", "2"), "score", SCORE),
        (("1.5", "2"), "class", CLASS), (("[1]", "[2, 3]"), "auto", SEVERAL),
    ],
)  # fmt: skip
def test_labels_are_scores_where_a_number_is_not_whole(
    labels: tuple[str, str], kind: str, expected: str
) -> None:
    found, values = labels_of([{"label": each} for each in labels], ("label",), kind, None)
    assert found == expected
    assert len(values) == 2
