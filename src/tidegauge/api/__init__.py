"""The query API: a FastAPI app, one router a topic."""
