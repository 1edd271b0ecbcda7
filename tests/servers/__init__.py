"""Starts what a test needs: by its URL in the environment, a container where Docker runs, a launcher of our own, embedded (choosing.py)."""
