"""What is installed, and what is missing: needs nothing but torch."""

import importlib.util
import platform

import torch

from erlangen.version import __version__

EXTRAS = ("tyro", "rich", "torchmetrics", "PIL", "safetensors", "matplotlib")


def examine() -> int:
    """Print versions, devices and missing packages; 1 if some are missing."""
    lines = [
        f"erlangen  {__version__}, python {platform.python_version()}, {platform.platform()}",
        f"torch     {torch.__version__}, {torch.get_num_threads()} threads",
        *(f"device    {device}" for device in devices()),
    ]
    missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
    lines += [f"missing   {name}" for name in missing]
    if missing:
        lines.append('mend      pip install "erlangen[train]"')
    print("\n".join(lines))  # noqa: T201
    return 1 if missing else 0


def devices() -> list[str]:
    """What --device may name, and what that is."""
    found = [f"cpu  ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        found += [f"cuda:{i}  ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps  (Apple)")
    return found
