"""Storage on TimescaleDB, embedded or a server: one adapter, differences in capabilities.py."""
