"""Storage: the Protocols (interface.py) and their adapters, which never import one another."""
