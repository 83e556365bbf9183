"""Time a training step on a CPU beside transformers' BertForPreTraining doing the same work.

    python -m tests.benchmarks.bench_train_step [--sizes tiny,mini] [--rounds 5]

One thread, CPU seconds, the two interleaved in one process so that a busy machine slows both alike.
Same sequences, masks, dropout, optimizer and clipping. Targets: 3.5 times at tiny, 2.5 at mini.
Below it, what single choices cost or save: sequences sorted by length or as drawn, attention
dropout, and torch.compile with the time until it runs.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch

from linkbert.model.network import LinkBert, ModelConfig, initialise
from linkbert.training.config import load_config
from linkbert.training.distributed import Ranks
from linkbert.training.learner import Learner, Wishes, compile_parts
from linkbert.training.optimizer import build_optimizer, choose_precision
from tests.benchmarks.synthetic_steps import hugging_face_inputs, hugging_face_model, step_batch

VOCAB_SIZE = 30_522
SEQUENCES = 4
LENGTHS = {"all 512": (512, 512), "102 to 512": (102, 512)}


def main() -> None:
    """Print a table of tokens per CPU second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="tiny,mini")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, {SEQUENCES} sequences, tokens per CPU second")
    print(f"{'':34}{'transformers':>14}{'linkbert':>10}{'times':>7}")
    for size in args.sizes.split(","):
        for precision in ("fp32", "bf16"):
            for name, lengths in LENGTHS.items():
                theirs, ours = compare(size, precision, lengths, args.rounds)
                label = f"{size}, {precision}, {name}"
                print(f"{label:34}{theirs:14,.0f}{ours:10,.0f}{ours / theirs:7.2f}", flush=True)
        compare_choices(size, args.rounds)


def compare_choices(size: str, rounds: int) -> None:
    """Print the cost of single choices, 8 micro-batches of 102 to 512 tokens in float32."""
    names = ("as in the presets", "sequences as drawn", "attention dropout 0.1", "compiled layers")
    steps: list[Callable[[], object]] = []
    num_tokens = []
    start_up = 0.0
    for name in names:
        dropout = 0.1 if name.startswith("attention") else 0.0
        learner = build(size, "fp32", dropout)
        batch = step_batch(
            learner.model.config, 8, SEQUENCES, LENGTHS["102 to 512"], name != names[1]
        )
        num_tokens.append(batch.num_tokens)
        steps.append(partial(learner.run_step, 0, batch, Wishes))
        if name == names[3]:
            compile_parts(learner.model)
            began = time.monotonic()
            steps[-1]()
            start_up = time.monotonic() - began
    best = [float("inf")] * len(names)
    for _ in range(rounds):
        for index, step in enumerate(steps):
            best[index] = min(best[index], _cpu_seconds(step))
    speeds = [tokens / seconds for tokens, seconds in zip(num_tokens, best, strict=True)]
    for name, speed in zip(names, speeds, strict=True):
        print(f"{size + ', ' + name:48}{speed:10,.0f}{speed / speeds[0]:7.2f}")
    print(f"{size}, start-up of compiled layers: {start_up:.0f} s", flush=True)


def build(size: str, precision: str, attention_dropout: float) -> Learner:
    """Return a learner on one thread of a CPU."""
    config = load_config(size, [f"precision={precision}"])
    shape = ModelConfig(
        VOCAB_SIZE, config.hidden_size, config.num_layers, config.num_heads,
        config.intermediate_size, 512, config.hidden_dropout, attention_dropout,
    )  # fmt: skip
    chosen = choose_precision(precision, torch.device("cpu"))
    model = LinkBert(shape).train()
    initialise(model, 0)
    optimizer = build_optimizer(model, config)
    ranks = Ranks(0, 1, torch.device("cpu"))
    scaler = chosen.gradient_scaler()
    return Learner(model, model, optimizer, scaler, chosen, ranks, config, seed=0)


def compare(
    size: str, precision: str, lengths: tuple[int, int], rounds: int
) -> tuple[float, float]:
    """Return real tokens per CPU second of theirs and ours, the best of interleaved rounds."""
    learner = build(size, precision, attention_dropout=0.0)
    config, shape, chosen = learner.config, learner.model.config, learner.precision
    batch = step_batch(shape, 1, SEQUENCES, lengths)
    reference = hugging_face_model(shape)
    their_optimizer = torch.optim.AdamW(reference.parameters(), 1e-4, fused=True)
    inputs = hugging_face_inputs(batch.micro_batches[0])

    def their_step() -> None:
        with chosen.autocast():
            loss = reference(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), config.gradient_clip)
        their_optimizer.step()
        their_optimizer.zero_grad(set_to_none=True)

    best = [float("inf")] * 2
    for _ in range(rounds + 1):
        for index, step in enumerate((their_step, lambda: learner.run_step(0, batch, Wishes))):
            best[index] = min(best[index], _cpu_seconds(step))
    return batch.num_tokens / best[0], batch.num_tokens / best[1]


def _cpu_seconds(step: Callable[[], object]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began


if __name__ == "__main__":
    main()
