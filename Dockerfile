# The merge service. ./run_docker.sh builds it and starts it.

# The Python and the Debian that the tests run on; every pin in requirements.txt has a wheel for it.
# It is named by its version, and not by its digest: docs/docker.md, "Exactly these images", says how
# to pin it.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM $BASE_IMAGE

# Drivers that encode on an Intel or AMD GPU. Build with --build-arg VAAPI= for an image without them.
ARG VAAPI="libva-drm2 intel-media-va-driver mesa-va-drivers"

# tini is process 1: it reaps what lost its parent, and hands signals on. util-linux has setpriv, by
# which an encoder ends together with whoever started it. Tesseract reads slides in Cyrillic.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini util-linux tesseract-ocr tesseract-ocr-rus $VAAPI \
    && rm -rf /var/lib/apt/lists/*

# A fixed number, so that folders of the host can be given to it: chown 10001:10001.
# Its home is in the volume, so that nothing it keeps is lost with the container.
RUN groupadd --gid 10001 merger \
    && useradd --uid 10001 --gid merger --home-dir /data --no-create-home --shell /usr/sbin/nologin merger \
    && install -d -m 700 -o merger -g merger /data

WORKDIR /app

# A layer of its own: a change of the code installs nothing anew. Nothing is compiled here, and nothing
# is installed that is not what was pinned.
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --only-binary :all: --require-hashes -r requirements.txt

# The code stays root's, so the service cannot change it, nor keep its bytecode: that is made here.
# chmod, because a checkout may be private to whoever made it.
COPY . .
RUN chmod -R a+rX . && python -m compileall -q .

# Which GPUs there are is left to `docker run --gpus`; this says what for. Without "video" no NVENC.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MERGER_DATA=/data \
    MERGER_CACHE=/data/cache \
    MERGER_HOST=0.0.0.0 \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility

VOLUME /data
EXPOSE 8080
USER 10001:10001
STOPSIGNAL SIGTERM

# Without -g: a signal is for the daemon, which ends its own children in order.
ENTRYPOINT ["tini", "--", "sh", "/app/script/docker-entry"]
CMD ["run"]

# Whether records can be asked for and made. What answers no requests is given another: `app.py check`.
HEALTHCHECK --interval=1m --timeout=30s --start-period=2m --retries=3 \
    CMD python -c "import urllib.request as web; web.urlopen('http://${MERGER_HOST}:${MERGER_PORT:-8080}/readyz', timeout=20)"
