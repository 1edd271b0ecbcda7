"""Serving: addresses, HTTP connections, handing them to workers, and the end."""

from tidegauge.serving.balance import Balance
from tidegauge.serving.http import HttpServer, Refusal
from tidegauge.serving.sockets import Taken, taken
from tidegauge.serving.stopping import Ending, Stop, leave

__all__ = ["Balance", "Ending", "HttpServer", "Refusal", "Stop", "Taken", "leave", "taken"]
