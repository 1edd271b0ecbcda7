"""A load test of a running server: many clients at a time ask its query API, and a summary says how it bore that."""
