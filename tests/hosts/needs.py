"""What hosts need of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import pytest

TOOLS = ("bash", "ip", "mount", "nsenter", "pivot_root", "ps", "ssh-keygen", "sshd", "umount", "unshare")
TRIAL = """
mount --make-rprivate / && mount -t tmpfs tmpfs /media && mkdir /media/a /media/b /media/c &&
mount -t overlay overlay -o lowerdir=/,upperdir=/media/a,workdir=/media/b /media/c &&
ip link add test type bridge && ip link add one type veth peer name two
"""
"""All that a container without the right to make namespaces, or a kernel without a module, fails at."""


def require(*tools: str) -> None:
    """Skip the test, or the module that calls this while it is imported, where hosts or a tool can't be had."""
    if (reason := _missing(*TOOLS, *tools)) is not None:
        pytest.skip(reason, allow_module_level=True)


@cache
def _missing(*tools: str) -> str | None:
    if os.geteuid() != 0:
        return "hosts need root"
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if missing := [tool for tool in tools if shutil.which(tool, path=path) is None]:
        return f"hosts need {', '.join(missing)}"
    spaces = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork"]
    tried = subprocess.run([*spaces, "sh", "-c", TRIAL], capture_output=True, text=True)
    return f"hosts need namespaces: {tried.stderr.strip()}" if tried.returncode else None
