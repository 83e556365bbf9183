"""Encoded examples, packed end to end in arrays.

A list of integers takes 28 bytes or more per token, and a window of 384 tokens took 171 kB with its
offsets. Packed, it takes 3 bytes per token if the vocabulary has up to 65,536 entries.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MAX_SHORT_VOCABULARY = 2**16
_ENCODED_AT_ONCE = 1000


@dataclass(slots=True)
class _Column:
    """The values of all rows one after the other; `ends` is None if each row has a single value."""

    values: array[Any]
    ends: array[int] | None

    def append(self, value: Any) -> None:
        if self.ends is None:
            self.values.append(value)
        else:
            self.values.extend(value)
            self.ends.append(len(self.values))

    def __getitem__(self, row: int) -> Any:
        if self.ends is None:
            return self.values[row]
        return self.values[self.ends[row - 1] if row else 0 : self.ends[row]].tolist()


@dataclass(slots=True)
class PackedFeatures:
    """A growing data set of a model's inputs and labels; attention masks are made on the fly.

    Attributes:
        vocab_size: decides how many bytes a token takes.

    >>> features = PackedFeatures(vocab_size=30_000)
    >>> features.append({"input_ids": [2, 7, 3], "attention_mask": [1, 1, 1], "labels": 1})
    >>> len(features), features[0]
    (1, {'attention_mask': [1, 1, 1], 'input_ids': [2, 7, 3], 'labels': 1})
    """

    vocab_size: int
    _columns: dict[str, _Column] = field(default_factory=dict)
    _size: int = 0

    def append(self, feature: Mapping[str, Any]) -> None:
        """Add a row; all rows must have the same keys."""
        for name, value in feature.items():
            if name == "attention_mask":
                continue
            if name not in self._columns:
                self._columns[name] = self._new_column(name, value)
            self._columns[name].append(value)
        self._size += 1

    def _new_column(self, name: str, value: Any) -> _Column:
        is_sequence = isinstance(value, list)
        first = value[0] if is_sequence and value else value
        code = "f" if isinstance(first, float) else "i"
        if name == "input_ids":
            code = "H" if self.vocab_size <= _MAX_SHORT_VOCABULARY else "I"
        elif name == "token_type_ids":
            code = "B"
        return _Column(array(code), array("q") if is_sequence else None)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, row: int) -> dict[str, Any]:
        found = {name: column[row] for name, column in self._columns.items()}
        return {"attention_mask": [1] * len(found["input_ids"]), **found}

    @classmethod
    def of_texts(
        cls,
        texts: Sequence[Sequence[str]],
        tokenizer: Any,
        max_length: int,
        labels: Sequence[Any] | None = None,
    ) -> PackedFeatures:
        """Encode single texts or pairs of texts, truncated to a length, with labels to learn."""
        found = cls(len(tokenizer))
        for start in range(0, len(texts), _ENCODED_AT_ONCE):
            columns = zip(*texts[start : start + _ENCODED_AT_ONCE], strict=True)
            encoded = tokenizer(*map(list, columns), truncation=True, max_length=max_length)
            for row in range(len(encoded["input_ids"])):
                label = {} if labels is None else {"labels": labels[start + row]}
                found.append({**{name: encoded[name][row] for name in encoded}, **label})
        return found

    @property
    def num_bytes(self) -> int:
        """Return how much memory the rows take."""
        arrays = [part for each in self._columns.values() for part in (each.values, each.ends)]
        return sum(part.buffer_info()[1] * part.itemsize for part in arrays if part is not None)
