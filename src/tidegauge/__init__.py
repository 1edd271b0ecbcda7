"""Tidegauge: a telemetry store on TimescaleDB."""

__version__ = "0.1.0"
