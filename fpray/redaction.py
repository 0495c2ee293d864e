"""Secrets in addresses: nothing that is printed, logged or written shows one."""

from __future__ import annotations

import re

MASK = "***"

_SCHEME = r"(?<![A-Za-z0-9+.-]) (?P<scheme> [A-Za-z][A-Za-z0-9+.-]* ) ://"
"""The start of an address: `s3://`, `postgresql+psycopg2://`."""
_USERINFO = re.compile(
    # s3://KEY:SECRET@bucket
    # https://TOKEN@host/path
    rf"""
    {_SCHEME}
    (?P<user> [^\s/?\#"<>]* ) @
    """,
    re.VERBOSE,
)
_UNQUOTED = re.compile(
    # A password in which `/`, `?`, `#` or a quote was not written as %XX:
    # s3://AKIA:ab/cd+e/f=@bucket/x
    # http://u:p?w#@host/x
    rf"""
    {_SCHEME}
    [^\s/?\#@:\["<>]* :                 # the user
    (?! \d* (?: [/?\#\s"'<>,;)\]] | $) )  # no port, as in http://host:5000/a@b
    [^\s/] \S* @                        # the password
    """,
    re.VERBOSE,
)
_VALUE = re.compile(
    # ?X-Amz-Credential=VALUE
    # &sig=VALUE
    # #access_token=VALUE
    # ;password=VALUE
    # %3BPWD%3DVALUE
    r"""
    (?P<name>
        (?: [?&;\#] | %3B | %26 )
        [^\s=&;\#?/"'<>]*?
        (?: key | token | secret | passw | pwd | credential | (?<![a-z])sig )  # `sig` starts a word: not `design`
        [^\s=&;\#?/"'<>]*?
        (?: = | %3D )
    )
    [^\s&;\#"'<>]*
    """,
    re.IGNORECASE | re.VERBOSE,
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
    """The start of an address, its user hidden unless that is the name of a container."""
    if _CONTAINERS.fullmatch(address["scheme"]) and ":" not in address["user"]:
        return address[0]
    return f"{address['scheme']}://{MASK}@"
