"""Frozen records and column batches. Standard library only, no I/O: every other package may import this one."""
