"""Where to compute, and what it remembers."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
BFLOAT16 = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}


def as_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: if it cannot be used here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device is {name!r}, which cannot be used here ({str(error).splitlines()[0]}); expected one "
            'that `erlangen doctor` lists; "cpu" always works'
        ) from error
    return device


def precision(amp: bool | str, device: torch.device) -> tuple[bool, str]:
    """Whether to compute in bfloat16, and why; of ``"auto"`` the device decides, and always alike.

    Time is not measured for it: the same command must give the same network, however busy the machine is.
    """
    names = {True: "bfloat16, and float32 for statistics, losses and weights", False: "float32"}
    if isinstance(amp, bool):
        return amp, f"{names[amp]}, as asked for"
    if device.type != "cpu":
        return False, f"{names[False]}, since on a GPU bfloat16 was not seen to gain; --amp True takes it"
    has = [name for name, asked in BFLOAT16.items() if getattr(torch.cpu, asked, bool)()]
    if not has:
        return False, f"{names[False]}, since this processor has no instructions for bfloat16"
    return True, f"{names[True]}, since this processor multiplies it ({has[0]}); --amp False leaves it"


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolutions in float32 as they are, where a GPU would round what goes in to ten bits (TF32)."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@cache
def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory for the next tensor instead of handing it back to the kernel.

    Tensors above 32 MiB are otherwise mapped again each time, and on a CPU the kernel then spends up to as
    long clearing pages as the network computes; asked once, for the whole process. Changes nothing but speed
    and the memory that the process holds.

    Returns:
        Whether there was such an allocator (Linux with glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        kept = libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        trimmed = libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    except (OSError, AttributeError):
        return False
    return bool(kept and trimmed)
