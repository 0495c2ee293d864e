"""Secrets in a text are hidden, and everything else stays as it is."""

from __future__ import annotations

import pytest

from fpray.redaction import hidden, is_hidden

HIDDEN = {
    # Users and passwords.
    "http://user:pw@host": "http://***@host",
    "https://user:pw@host:5000/path?x=1#part": "https://***@host:5000/path?x=1#part",
    "https://ghp_token@host/path": "https://***@host/path",
    "https://:pw@host": "https://***@host",
    "HTTP://User:Pw@Host": "HTTP://***@Host",
    "postgresql+psycopg2://user:p%40w@h/db": "postgresql+psycopg2://***@h/db",
    "mysql+pymysql://u:p@127.0.0.1:3306/db?charset=utf8": "mysql+pymysql://***@127.0.0.1:3306/db?charset=utf8",
    "s3://key:secret@bucket": "s3://***@bucket",
    "simplecache::s3://key:secret@bucket/x": "simplecache::s3://***@bucket/x",
    "http://user:pw@[::1]:5000/x": "http://***@[::1]:5000/x",
    "abfss://container:pw@account.dfs.core.windows.net": "abfss://***@account.dfs.core.windows.net",
    # Passwords that should have been quoted, and weren't.
    "http://user:p@w@host/x": "http://***@host/x",
    "s3://AKIA:ab/cd+e/f=@bucket/x": "s3://***@bucket/x",
    'http://u:p"w@host': "http://***@host",
    "http://u:p?w#@host/x": "http://***@host/x",
    # Values in queries.
    "https://h/x?token=abc": "https://h/x?token=***",
    "https://h/x?a=1&access_key=abc&b=2": "https://h/x?a=1&access_key=***&b=2",
    "https://h/x?X-Amz-Credential=a%2Fb&X-Amz-Signature=c&X-Amz-Security-Token=d": (
        "https://h/x?X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Security-Token=***"
    ),
    "https://h/x?sv=2024&sig=a%2Bb%3D": "https://h/x?sv=2024&sig=***",
    "https://h/x?Signature=abc": "https://h/x?Signature=***",
    "https://h/cb#access_token=abc&state=1": "https://h/cb#access_token=***&state=1",
    "https://h/x?apiKey=a&clientSecret=b&passwd=c&PWD=d&password=e": (
        "https://h/x?apiKey=***&clientSecret=***&passwd=***&PWD=***&password=***"
    ),
    "https://h/x?token=a/b@c:d": "https://h/x?token=***",
    "sqlite:////a/mlflow.db?token=abc": "sqlite:////a/mlflow.db?token=***",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Du%3BPWD%3Dabc": (
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Du%3BPWD%3D***"
    ),
    "postgresql://h/db;password=abc;user=u": "postgresql://h/db;password=***;user=u",
    # Both, and several in a text.
    "http://u:p@h/?token=abc": "http://***@h/?token=***",
    "from http://u:p@h1 to s3://k:s@b2, then": "from http://***@h1 to s3://***@b2, then",
    '["http://u:p@h1","http://x:y@h2"]': '["http://***@h1","http://***@h2"]',
    "can't reach 'http://u:p@h/x': refused": "can't reach 'http://***@h/x': refused",
    "(http://u:p@h)\n<http://u:p@h>\nhttp://h/?key=a\n": "(http://***@h)\n<http://***@h>\nhttp://h/?key=***\n",
}
PLAIN = [
    "",
    "a plain text: 3 of 4 (75 %) & more; key=value, token=word?",
    "write to someone@example.org or mailto:someone@example.org",
    "git@github.com:someone/something.git",
    "http://host:5000",
    "http://host:5000/a@b",
    "http://host:5000, and a@b",
    "http://host/a:b@c/d",
    "http://[::1]:5000/a@b",
    "http://user:12/34:5@host",  # a port and a path, as far as anyone can tell
    "see http://host: someone@example.org",
    "sqlite:////home/some@one/mlflow.db",
    "sqlite:///mlflow.db?timeout=5",
    "file:///home/some@one/x:y@z",
    "file://C:/home/some@one",
    "/data/some@one:x/images",
    "C:\\data\\some@one",
    "s3://bucket/some@one/x?versionId=3",
    "abfss://container@account.dfs.core.windows.net/x",
    "hf-hub:laion/CLIP@main",
    "local-dir:/models/v@2",
    "https://h/x?design=3&assigned=4&page=5",
    '{"uri":"http://host","mail":"a@b.c"}',
]


@pytest.mark.parametrize("text", HIDDEN)
def test_secrets_are_hidden(text: str) -> None:
    assert hidden(text) == HIDDEN[text]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_texts_stay_as_they_are(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize("text", HIDDEN)
def test_a_text_with_hidden_secrets_stays_as_it_is(text: str) -> None:
    assert hidden(HIDDEN[text]) == HIDDEN[text]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_text_with_hidden_secrets_is_recognised(text: str) -> None:
    assert is_hidden(hidden(text))


@pytest.mark.parametrize("text", [*PLAIN, *HIDDEN, "***", "s3://bucket/***"])
def test_a_text_without_hidden_secrets_is_recognised(text: str) -> None:
    assert not is_hidden(text)
