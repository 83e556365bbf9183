"""All measurements, one after the other, under a line that names the hardware.

    python -m tests.benchmarks [DUMP.xml.bz2 [what bench_parse takes beside it]]

The dump is the bundled one unless another is named; figures for a README should come from a large
one of real pages on a quiet machine: `repeated_dump` makes one.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

BUNDLED = Path(__file__).parents[2] / "linkbert/data/ltgwiki-2017-pages-articles.xml.bz2"


def main() -> int:
    """Run every benchmark; return 1 if one of them failed."""
    dump, *options = sys.argv[1:] or [str(BUNDLED)]
    print(hardware(), flush=True)
    failed = False
    for name, *arguments in (
        ("bench_parse", dump, *options),
        ("bench_graph",),
        ("bench_graph", "--titles", "17000000", "--links", "10000000", "40000000"),
        ("bench_segment", dump),
        ("bench_hostile",),
        ("bench_workers",),
        ("bench_sample",),
        ("bench_similarity",),
        ("bench_loader",),
        ("bench_train_step",),
        ("bench_windows", "--contexts", "5000"),
    ):
        print(f"\n{name}", flush=True)
        module = f"tests.benchmarks.{name}"
        failed |= subprocess.run([sys.executable, "-m", module, *arguments]).returncode != 0
    return int(failed)


def hardware() -> str:
    """Return one line that says what the figures were measured on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if os.name == "posix" else ():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pyarrow", "torch"))
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; Python {platform.python_version()}, "
        f"{versions}; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
