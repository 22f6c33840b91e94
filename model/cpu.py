"""What this machine's CPU offers a worker."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

# VNNI on x86 and the dot product on Arm accumulate int8 products in 32 bits. Older AVX2 and AVX-512 instructions
# go through 16 bits, which saturate for unsigned x signed operands. onnx_runtime.py has ONNX Runtime go round them
# there: exact, and slower than fp32.
_INT8_FEATURES = {"avx512_vnni", "avx_vnni", "asimddp"}


def has_fast_int8(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether int8 models run about three times as fast as fp32 ones on this CPU."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return sys.platform == "darwin" and platform.machine() == "arm64"  # every Apple M has the dot product
    return not _INT8_FEATURES.isdisjoint(text.split())


def usable_cpus() -> int:
    """The CPUs that this process may run on (affinity), which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
