"""Show that the memory of a run does not grow with its steps.

    python -m tests.benchmarks.bench_memory [--steps 5000] [--set key=value ...]

A small network on generated shards of ragged pairs, on one thread of a CPU: what is told is the
highest memory of the process up to every 500th step, as metrics.jsonl has it.
"""

import argparse
import json
import tempfile
from pathlib import Path

from linkbert.training.config import load_config
from linkbert.training.trainer import pretrain
from tests.linkbert.shards_folder import write_shards

_EVERY = 500
_SMALL = (
    "hidden_size=32",
    "intermediate_size=128",
    "threads=1",
    "tensorboard=false",
    "checkpoint_every=1000000",
    "validate_every=1000000",
)


def main() -> None:
    """Print the peak of memory every 500 steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    args = parser.parse_args()
    config = load_config("demo", [*_SMALL, f"max_steps={args.steps}", *args.overrides])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = {"num_instances": 4000, "vocab_size": 2000, "max_tokens": 62}
        write_shards(folder / "shards", **sizes)
        pretrain(folder / "shards", folder / "run", config, quiet=True)
        for line in (folder / "run" / "metrics.jsonl").read_text().splitlines():
            values = json.loads(line)
            if values["step"] % _EVERY == 0 or values["step"] == 1:
                print(f"step {values['step']:>6,}  peak {values['memory_bytes'] / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
