"""The command `fpray cache`: what is kept on this machine of what all trials compute alike."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from fpray.command import told_in_a_sentence


def cache(empty: Annotated[bool, typer.Option("--empty", help="Remove it all.")] = False) -> None:
    """Show the cropped images that are kept on this machine's disk, the newest first, or remove them."""
    with told_in_a_sentence():
        # Imported here since it imports numpy, and --help must be fast.
        from fpray.kept import kept_files, kept_folder

        files, total = kept_files(), 0
        for file, what in reversed(files):
            status = file.stat()
            size = 512 * status.st_blocks  # what it takes: rows that were not written take nothing
            total += size
            if empty:
                file.unlink(missing_ok=True)
            else:
                used = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime))
                print(f"{_gib(size):>10}  last used {used}  {what}")
        done = "removed" if empty else "in all"
        print(f"{_gib(total):>10}  {done}, {len(files)} files in '{kept_folder()}'")


def _gib(size: int) -> str:
    return f"{size / 2**30:,.2f} GiB"
