"""Refuse a setting that asks for more memory than there is, before anything is allocated."""

from pathlib import Path

import psutil

from fewlabel.errors import FewlabelError

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def available_memory() -> int:
    """Return how many bytes this process may take: what the machine has left, or its container."""
    available: int = psutil.virtual_memory().available
    # The file says "max" where there is no limit, and is missing outside of a container.
    text = _CGROUP_LIMIT.read_text(encoding="ascii").strip() if _CGROUP_LIMIT.exists() else "max"
    return available if text == "max" else min(available, int(text))


def require_memory(n_bytes: int, key: str, value: int) -> None:
    """Refuse the setting that needs `n_bytes`, at least, if there is not so much memory."""
    available = available_memory()
    if n_bytes > available:
        raise FewlabelError(
            f"{key} is {value}, which needs {_size(n_bytes)} of memory, but {_size(available)} are "
            "available; lower it"
        )


def _size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.0f} PB"
