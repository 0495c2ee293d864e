"""The cluster files at the root and in `clusters/`, tried with the programs that read them.

Where they need hosts, `tests.hosts` makes them; AWS is played by moto (`tests/clusters/moto.py`).
"""
