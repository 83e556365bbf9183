"""Throughput and model FLOPs utilisation on one GPU, beside BertForPreTraining, in one run.

    python -m tests.benchmarks.bench_gpu [--sizes tiny,base,large] [--lengths 128,512]
        [--variants ...] [--seconds 540] [--out FILE.jsonl] [--profile]

bf16 autocast, fused AdamW, gradient clipping, two micro-batches per step; synthetic instances of
equal length, and of 20 to 100 % of it ("ragged"). MFU counts what
`linkbert.training.metrics.model_flops` counts (vocabulary scored at masked positions, no padding),
for transformers too: what it computes beyond that lowers its figure. Cases run in order of interest
until the time is spent; a case that fails is reported and the next one runs. On a machine without a
GPU, --quick tries every variant on the CPU at toy size.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from linkbert.loader.batches import StepBatch
from linkbert.model import attention
from linkbert.model import network as model_file
from linkbert.model.network import LinkBert, ModelConfig, initialise
from linkbert.training.config import load_config
from linkbert.training.distributed import Ranks
from linkbert.training.learner import Learner, Wishes
from linkbert.training.metrics import model_flops, peak_flops
from linkbert.training.optimizer import build_optimizer, choose_precision
from tests.benchmarks.synthetic_steps import hugging_face_inputs, hugging_face_model, step_batch

VOCAB_SIZE = 30_522
NUM_MICRO_BATCHES = 2
TOKENS_A_MICRO_BATCH = {"tiny": 1 << 17, "mini": 1 << 17, "base": 1 << 15, "large": 1 << 14}

OURS = (
    "layers",  # each layer compiled, the same code for all
    "eager",
    "whole",  # the whole network compiled
    "grid-eager",  # attention on a padded grid in place of the variable-length kernel
    "grid-layers",
    "static-layers",  # compiled for one shape: an upper bound, real batches differ in shape
    "no-dropout-layers",
    "double-layers",  # micro-batches twice as large
    "half-layers",
    "usual-loss-layers",  # linear and cross entropy of torch in place of ours
    "autotune-layers",
    "attention-dropout-eager",  # 0.1, as in BERT: grid attention with dropout in the kernel
)
THEIRS = ("transformers", "transformers-compiled")
DEFAULT = ("layers", "transformers", "eager", "whole", "transformers-compiled", "grid-layers",
           "grid-eager", "double-layers", "half-layers", "no-dropout-layers", "static-layers",
           "usual-loss-layers", "attention-dropout-eager", "autotune-layers")  # fmt: skip
EXTRA_ONLY_AT = ("base", 512)
"""Variants beyond the first five are tried at this size and length alone."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    size: str
    length: int
    variant: str
    is_ragged: bool = False


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Yield the measurements asked for, those that say most first."""
    sizes, lengths = args.sizes.split(","), [int(text) for text in args.lengths.split(",")]
    variants = args.variants.split(",")
    pairs = sorted(
        ((size, length) for size in sizes for length in lengths),
        key=lambda pair: (pair != EXTRA_ONLY_AT, -pair[1]),
    )
    for variant in variants[:3]:
        for size, length in pairs:
            yield Case(size, length, variant)
    if EXTRA_ONLY_AT in pairs:
        for variant in variants[:3]:
            yield Case(*EXTRA_ONLY_AT, variant, is_ragged=True)
    for variant in variants[5:]:
        if EXTRA_ONLY_AT in pairs:
            yield Case(*EXTRA_ONLY_AT, variant)
    for variant in variants[3:5]:
        for size, length in pairs:
            if size != "large":  # 24 layers take minutes to compile whole
                yield Case(size, length, variant)


def measure(case: Case, args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Return tokens a second, utilisation, memory and start-up time of a case."""
    shape = _shape(case, args)
    tokens = 256 if args.quick else TOKENS_A_MICRO_BATCH[case.size]
    tokens = {"double": 2 * tokens, "half": tokens // 2}.get(case.variant.split("-")[0], tokens)
    lengths = (case.length // 5 if case.is_ragged else case.length, case.length)
    mean = (lengths[0] + lengths[1]) / 2
    batch = step_batch(shape, NUM_MICRO_BATCHES, max(1, int(tokens / mean)), lengths)
    began = time.perf_counter()
    run = _theirs(case, shape, batch, device) if case.variant in THEIRS else None
    run = run or _ours(case, shape, batch, device)
    for _ in range(1 if args.quick else 4):
        run()
    _synchronise(device)
    start_up = time.perf_counter() - began
    steps = 1 if args.quick else 5
    seconds = min(_timed(run, steps, device) for _ in range(1 if args.quick else 3))
    flops = sum(model_flops(shape, micro_batch) for micro_batch in batch.micro_batches)
    peak = peak_flops(device)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return {
        **asdict(case),
        "tokens_per_second": round(batch.num_tokens / seconds),
        "mfu": None if peak is None else round(flops / seconds / peak, 4),
        "memory_gb": round(memory / 1e9, 2),
        "start_up_seconds": round(start_up, 1),
    }


def _shape(case: Case, args: argparse.Namespace) -> ModelConfig:
    config = load_config("tiny" if args.quick else case.size)
    shape = ModelConfig(
        VOCAB_SIZE, config.hidden_size, config.num_layers, config.num_heads,
        config.intermediate_size, 512, config.hidden_dropout, config.attention_dropout,
    )  # fmt: skip
    if "no-dropout" in case.variant:
        shape = replace(shape, hidden_dropout=0.0)
    if "attention-dropout" in case.variant:
        shape = replace(shape, attention_dropout=0.1)
    return shape


def _ours(
    case: Case, shape: ModelConfig, batch: StepBatch, device: torch.device
) -> Callable[[], Any]:
    model = LinkBert(shape).to(device).train()
    initialise(model.cpu(), 0)
    model.to(device)
    is_static = "static" in case.variant
    mode = "max-autotune-no-cudagraphs" if "autotune" in case.variant else None
    if case.variant.endswith("layers"):
        parts = [*model.encoder.layers, model.encoder.embeddings, model.masked_token_head]
        for part in parts:
            part.compile(dynamic=not is_static, mode=mode)
    forward: Any = torch.compile(model, dynamic=True) if case.variant == "whole" else model
    config = load_config(case.size, ["max_steps=100"])
    precision = choose_precision("bf16", device)
    optimizer = build_optimizer(model, config)
    learner = Learner(
        model, forward, optimizer, precision.gradient_scaler(), precision,
        Ranks(0, 1, device), config, seed=0,
    )  # fmt: skip
    return lambda: learner.run_step(1, batch, Wishes)


def _theirs(
    case: Case, shape: ModelConfig, batch: StepBatch, device: torch.device
) -> Callable[[], Any]:
    model = hugging_face_model(shape).to(device)
    forward = torch.compile(model) if case.variant == "transformers-compiled" else model
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    precision = choose_precision("bf16", device)
    inputs = [
        {key: value.to(device) for key, value in hugging_face_inputs(micro_batch).items()}
        for micro_batch in batch.micro_batches
    ]

    def step() -> float:
        total = torch.zeros((), device=device)
        for micro_batch in inputs:
            with precision.autocast():
                loss = forward(**micro_batch).loss / len(inputs)
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total.item()

    return step


def _switch(case: Case) -> Callable[[], None]:
    """Set what a variant changes outside of the model; return how to set it back."""
    has_ragged_kernel, own_loss = attention._has_ragged_kernel, model_file.linear_cross_entropy
    if case.variant.startswith("grid"):
        attention._has_ragged_kernel = lambda qkv, dropout: False
    if "usual-loss" in case.variant:
        model_file.linear_cross_entropy = _usual_loss

    def back() -> None:
        attention._has_ragged_kernel = has_ragged_kernel
        model_file.linear_cross_entropy = own_loss

    return back


def _usual_loss(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = functional.linear(hidden, weight, bias)
    loss = functional.cross_entropy(logits.float(), labels, reduction="sum")
    return loss, (logits.detach().argmax(-1) == labels).sum(dtype=torch.float32)


def _timed(run: Callable[[], Any], steps: int, device: torch.device) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        run()
    _synchronise(device)
    return (time.perf_counter() - began) / steps


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def profile(case: Case, args: argparse.Namespace, device: torch.device) -> str:
    """Return where the time of a step goes."""
    shape = _shape(case, args)
    sequences = TOKENS_A_MICRO_BATCH[case.size] // case.length
    batch = step_batch(shape, NUM_MICRO_BATCHES, sequences, (case.length, case.length))
    run = _ours(case, shape, batch, device)
    for _ in range(4):
        run()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as recorded:
        for _ in range(3):
            run()
        _synchronise(device)
    table = recorded.key_averages().table(
        sort_by="self_cuda_time_total", row_limit=25, max_name_column_width=70
    )
    return f"{case}\n{table}"


def main() -> None:
    """Measure, printing each case as it ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="tiny,base,large")
    parser.add_argument("--lengths", default="128,512")
    parser.add_argument("--variants", default=",".join(DEFAULT))
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(
        f"{name}, torch {torch.__version__}, variable-length kernel: {attention.varlen is not None}"
    )
    if device.type == "cuda" and args.profile:
        for variant in ("layers", "eager"):
            print(profile(Case("base", 512, variant), args, device), flush=True)
    began = time.perf_counter()
    for case in cases(args):
        if time.perf_counter() - began > args.seconds:
            print("time is spent")
            break
        row = _guarded(case, args, device)
        print(json.dumps(row), flush=True)
        if args.out is not None:
            with open(args.out, "a") as file:
                file.write(json.dumps(row) + "\n")


def _guarded(case: Case, args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Measure a case; an error (memory, a compiler's) is its result, so that the others run."""
    back = _switch(case)
    try:
        return measure(case, args, device)
    except Exception as error:
        return {**asdict(case), "error": f"{type(error).__name__}: {str(error)[:300]}"}
    finally:
        back()
        gc.collect()
        torch._dynamo.reset()
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)


if __name__ == "__main__":
    main()
