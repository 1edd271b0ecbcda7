"""A second decoder of OTLP requests, slow and obviously right; the product's has to agree with it.

Official messages, field by field, the standard library's json, no caches. Written from docs/data-model.md and the OTLP specification,
and sharing no code with ``tidegauge.otlp`` or ``tidegauge.model.identity``.

An item becomes a dict of its columns; in the place of an index into a dictionary stands the entry itself (``resource``, ``scope``,
``series``). JSON columns are what ``json.loads`` gives.
"""
