"""Addresses, taken before anything else is started: that tells at once where one is in use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SO_REUSEPORT, SOCK_STREAM, SOL_SOCKET, socket

from tidegauge.config import ListenAddress
from tidegauge.errors import ConfigurationError

# As many as the kernel allows (net.core.somaxconn); after a restart all exporters come at once.
_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Taken:
    """An address that is ours: a socket that is bound to it and does not listen yet, so that a client is refused meanwhile.

    ``listen`` is the real address: a port 0 is a real one by now. ``setting`` is the variable that sets it.
    """

    bound: socket
    listen: ListenAddress
    setting: str

    def start_listening(self) -> socket:
        """The socket, listening; raises ConfigurationError where somebody else was quicker."""
        try:
            self.bound.listen(_BACKLOG)
        except OSError as error:
            raise _in_use(self.listen, self.setting, error) from error
        return self.bound


@contextlib.contextmanager
def taken(listen: ListenAddress, setting: str, *, shared: bool = False) -> Iterator[Taken]:
    """An address for as long as the block runs. ``shared``: processes of the same user may listen on it meanwhile (SO_REUSEPORT).

    Raises:
        ConfigurationError: the address cannot be listened on.

    """
    family = AF_INET6 if ":" in listen.host else AF_INET
    with socket(family, SOCK_STREAM) as bound:
        bound.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            bound.bind((listen.host, listen.port))
        except OSError as error:
            raise _in_use(listen, setting, error) from error
        if shared:
            # Only now: set before, it would share the port of a stranger's server without a word.
            bound.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        bound.setblocking(False)
        yield Taken(bound, ListenAddress(host=listen.host, port=bound.getsockname()[1]), setting)


def _in_use(listen: ListenAddress, setting: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"cannot listen on {listen}: {error.strerror}", hint=f"stop what uses it, or choose another address with {setting}"
    )
