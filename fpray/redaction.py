"""Secrets in addresses: nothing that is printed, logged or written shows one."""

from __future__ import annotations

import re

MASK = "***"

_SCHEME = r"(?<![A-Za-z0-9+.-])(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
_USERINFO = re.compile(_SCHEME + r"""(?P<user>[^\s/?#"<>]*)@""")
_UNQUOTED = re.compile(_SCHEME + r"""[^\s/?#@:\["<>]*:(?!\d*(?:[/?#\s"'<>,;)\]]|$))[^\s/]\S*@""")
"""A password in which `/`, `?`, `#` or a quote was not written as %XX: what follows the colon is no port."""
_VALUE = re.compile(
    r"""(?P<name>(?:[?&;#]|%3B|%26)[^\s=&;#?/"'<>]*?(?:key|token|secret|passw|pwd|credential|(?<![a-z])sig)"""
    r"""[^\s=&;#?/"'<>]*?(?:=|%3D))[^\s&;#"'<>]*""",
    re.IGNORECASE,
)
_CONTAINERS = re.compile("(?:abfs|wasb)s?", re.IGNORECASE)
"""Azure's schemes, where `container@account` names no user."""


def hidden(text: str) -> str:
    """A text with `***` in the place of every secret in its addresses.

    Hidden are users and passwords (`s3://key:secret@bucket` becomes `s3://***@bucket`), and the values in a query
    whose name has key, token, secret, passw, pwd or credential in it, or a word that starts with sig (as signature).
    """
    text = _USERINFO.sub(_without_user, text)
    text = _UNQUOTED.sub(rf"\g<scheme>://{MASK}@", text)
    return _VALUE.sub(rf"\g<name>{MASK}", text)


def is_hidden(text: str) -> bool:
    """Whether a text has an address in which a secret was hidden."""
    return f"://{MASK}@" in text or f"={MASK}" in text or f"%3D{MASK}" in text


def _without_user(address: re.Match[str]) -> str:
    if _CONTAINERS.fullmatch(address["scheme"]) and ":" not in address["user"]:
        return address[0]
    return f"{address['scheme']}://{MASK}@"
