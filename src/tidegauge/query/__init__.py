"""The query path: use cases between the API and storage."""
