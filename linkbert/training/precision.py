"""Number formats of training: what `precision` means on this device.

fp32 computes in float32. bf16 and fp16 compute matrix products in half precision and keep weights,
norms and losses in float32; fp16 scales gradients, because its smallest numbers are too large.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from schemas.errors import ConfigError

_HALF_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Precision:
    """A number format on a device; `name` is fp32, bf16 or fp16."""

    name: str
    device_type: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the forward pass runs."""
        half = _HALF_TYPES.get(self.name)
        return torch.autocast(self.device_type, half, enabled=half is not None)

    def gradient_scaler(self) -> torch.amp.GradScaler:
        """Return a scaler of gradients, which does nothing but for fp16."""
        return torch.amp.GradScaler(self.device_type, enabled=self.name == "fp16")


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """Resolve `auto`: bf16 where a GPU has it, else fp16; fp32 on a CPU.

    >>> choose_precision("auto", torch.device("cpu")).name
    'fp32'

    Raises:
        ConfigError: the device cannot compute in the format.
    """
    if device.type != "cuda":
        if wanted == "fp16":
            raise ConfigError("expected a GPU for precision fp16, found none: use fp32 or bf16")
        return Precision("fp32" if wanted == "auto" else wanted, device.type)
    # Emulated bf16 (before Ampere) is slower than fp32.
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bf16" and not has_bf16:
        raise ConfigError("expected a GPU with bf16, found an older one: use precision=fp16")
    return Precision(("bf16" if has_bf16 else "fp16") if wanted == "auto" else wanted, device.type)
