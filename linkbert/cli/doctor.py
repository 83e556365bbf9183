"""`linkbert doctor`: what this machine lacks or will be slow at, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from linkbert.extras import EXTRAS
from schemas import __version__

_PACKAGES = (
    "numpy", "pyarrow", "apache-beam", "mwparserfromhell", "tokenizers", "torch", "transformers",
)  # fmt: skip
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")
_MIN_FREE_BYTES, _MIN_MEMORY_BYTES = 10e9, 4e9
_SERVES = {
    "train": "pretrain and export",
    "finetune": "finetune, evaluate and encoders other than BERT",
    "pipeline": "faster .bz2, .zst files, --links tfidf and finetune's figures",
    "report": "report and experiment",
    "completion": "--completion",
    "hub": "push",
    "7z": "dumps as .7z",
    "tensorboard": "--log tensorboard",
    "wandb": "--log wandb",
    "mlflow": "--log mlflow",
    "aws": "s3://",
}
"""By extra: what needs it."""


def version_line() -> str:
    """Return the versions of the packages that affect results or speed."""
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        number = _version_of(package)
        found.append(f"{package} {number}" if number else f"no {package}")
    return f"linkbert {__version__} ({', '.join(found)})"


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def examine(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the machine has, and a line of advice for each shortcoming.

    Args:
        folder: a folder on the disk that outputs would go to.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = shutil.disk_usage(folder).free
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found: dict[str, Any] = {
        "versions": version_line(),
        "cores": cores,
        "memory": f"{memory / 1e9:,.1f} GB",
        "free_disk": f"{free / 1e9:,.1f} GB at {folder}",
    }
    advice = []
    if free < _MIN_FREE_BYTES:
        advice.append("less than 10 GB of disk space is free: choose an --out on a larger disk")
    if memory < _MIN_MEMORY_BYTES:
        advice.append("there is less than 4 GB of memory: use --workers 1")
    missing = {package: extra for package, extra in EXTRAS.items() if find_spec(package) is None}
    found["missing_packages"] = ", ".join(missing) or "none"
    found["engines"] = ", ".join(_engines())
    advice += [
        f"{package}, needed for {_SERVES[extra]}, is missing: pip install 'linkbert[{extra}]'"
        for package, extra in missing.items()
    ]
    if not any(map(shutil.which, _BROWSERS)):
        advice.append("there is no browser: copy report.html to a machine that has one")
    training, training_advice = _training()
    return found | training, advice + training_advice


def _engines() -> list[str]:
    """Return the engines that can be launched from here, and the stores that can be read."""
    available = {
        "local": True,
        "Prism": shutil.which("prism"),
        "Flink (with its job server's jar)": shutil.which("java"),
        "Dataflow and gs://": _version_of("google-cloud-storage"),
        "s3://": find_spec("boto3"),
    }
    return [name for name, found in available.items() if found]


def _training() -> tuple[dict[str, Any], list[str]]:
    """Return what the machine has for training, and advice."""
    if find_spec("torch") is None:
        return {"gpu": "unknown without torch"}, []
    import torch

    if not torch.cuda.is_available():
        threads = torch.get_num_threads()
        return {"gpu": "none", "training_threads": threads}, [
            "there is no GPU: a CPU can train tiny and mini, but base takes months; see --estimate"
        ]
    name, has_bf16 = torch.cuda.get_device_name(), torch.cuda.is_bf16_supported()
    has_flash = torch.cuda.get_device_capability() >= (8, 0)
    advice = [] if has_bf16 else ["the GPU does not support bf16: precision=auto uses fp16"]
    if not has_flash:
        advice.append("the GPU is too old for flash attention: long sequences will be slower")
    return {"gpu": name, "bf16": has_bf16, "flash_attention": has_flash}, advice
