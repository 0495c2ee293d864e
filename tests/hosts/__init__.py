"""Real hosts on one machine: a test runs what people run on several machines, and no packet leaves this one.

A host has its own network, processes, hostname, shared memory and files, out of Linux namespaces, and an sshd. Its
files are this machine's, so the virtual environment and the checkout are there; what it changes is its own. Hosts
reach each other by name and by address, and nothing else: there is no route out, not even to this machine. So `ray
stop` ends the Ray of one host, and `pip install` installs there. Needs root on Linux; `require` says so.
"""

from tests.hosts.host import Host
from tests.hosts.hosts import Hosts
from tests.hosts.needs import require

__all__ = ["Host", "Hosts", "require"]
