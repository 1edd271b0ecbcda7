"""A small shop that real OpenTelemetry exporters report on: for demos, tests and first looks.

``shop`` says who the services are, ``plan`` what a request consists of, ``requests`` which requests there are, ``recorder`` turns them into
SDK spans, logs and measurements, ``exporters`` sends these and keeps count, ``engine`` runs it all against the clock.
Only ``recorder``, ``exporters`` and ``malformed`` need the extra ``simulate``.
"""
