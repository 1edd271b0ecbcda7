"""A fuzzer of the receivers: hostile requests on the real path from ASGI or gRPC call to COPY, in process. docs/extending.md tells how.

``python -m tests.fuzz`` runs it. Every input follows from seed and number alone, and runs in a child process with bounds of time and
memory; what it died of is read from a file that it shares with its parent.
"""
