import json
from pathlib import Path

import torch

from linkbert.model.network import Batch, ModelConfig
from linkbert.training.metrics import (
    METRICS_NAME,
    StepLog,
    model_flops,
    peak_flops,
    seconds_in_steps,
)


def write(path: Path, steps: range, tail: bytes = b"") -> None:
    path.write_bytes(b"".join(b'{"step": %d, "seconds": 0.5}\n' % step for step in steps) + tail)


def test_lines_beyond_the_checkpoint_are_cut(tmp_path: Path) -> None:
    path = tmp_path / METRICS_NAME
    write(path, range(1, 9), b'{"step": 9, "sec')
    log = StepLog(path, 5)
    log.write({"step": 6, "seconds": 1.0})
    # Not closed: a line is in the file as soon as it is written.
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [*range(1, 7)]
    log.close()
    assert seconds_in_steps(tmp_path) == 3.5


def test_log_of_a_new_run_is_empty(tmp_path: Path) -> None:
    StepLog(tmp_path / METRICS_NAME, 0).close()
    assert (tmp_path / METRICS_NAME).read_bytes() == b""
    assert seconds_in_steps(tmp_path) == 0


def test_flops_of_base_are_those_computed_by_hand() -> None:
    base = ModelConfig(30_522, 768, 12, 12, 3072)
    tokens, masked = 512, 77
    none = torch.zeros(0)
    batch = Batch(
        token_ids_N=torch.zeros(tokens),
        position_ids_N=none,
        token_types_N=none,
        lengths_B=torch.tensor([tokens]),
        masked_positions_M=none,
        labels_M=torch.zeros(masked),
        relations_B=none,
        max_length=tokens,
    )
    # 85 M weights in the layers, 12 * layers * hidden * length for attention, head on 15 %.
    expected = 6 * 84_934_656 + 12 * 12 * 768 * 512 + 6 * 768 * (768 + 30_522) * masked / tokens
    assert model_flops(base, batch) / tokens == expected
    assert abs(expected / 1e6 - 588) < 2


def test_cpu_has_no_known_peak() -> None:
    assert peak_flops(torch.device("cpu")) is None
