"""Starts what a test needs. The order of choice for a TimescaleDB: its URL in the environment, testcontainers where Docker is, embedded."""
