# One image for Ray's head, its workers and the job that prepares weights.
#
# NEVER BUILT BY US: there was no Docker where this was written. Checked by a linter (hadolint) and by
# a test that everything it copies is there.
#
#   docker build -t registry.example.com/twinset:0.1.0 .
#   docker run --rm --network host --shm-size 1g registry.example.com/twinset:0.1.0   # the demo
#
# No CUDA image below: torch's wheels bring their libraries, the node's container runtime the driver.
#
# The base by its tag changes under you with each of its security updates. To pin it, ask which digest
# the tag has now (docker buildx imagetools inspect python:3.11-slim-bookworm), and build with
#   docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:THAT-DIGEST ...
# It has to be Debian with Python 3.11, for which the packages are locked.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

# Into the system's Python: KubeRay may start `ray` from a login shell, which knows /usr/local/bin and
# no environment of ours.
COPY requirements.txt /tmp/requirements.txt
# gcc: torch.compile's Triton builds its launchers with it. Python's headers are in the base image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --require-hashes -r /tmp/requirements.txt \
    && rm /tmp/requirements.txt \
    && useradd --uid 1000 --create-home --shell /bin/bash twinset \
    && install -d -o twinset -g twinset /home/twinset/.cache/twinset/weights /opt/twinset/.run

WORKDIR /opt/twinset
# Belongs to root: what runs cannot change itself. The published weights are mounted, never inside.
COPY LICENSE NOTICE MODELS.md serve_config.yaml ./
COPY configs configs
COPY models models
COPY deployments deployments
COPY scripts scripts

ENV PYTHONPATH=/opt/twinset \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000

# Kubernetes has probes of its own and does not look at this.
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import httpx; httpx.get('http://127.0.0.1:8000/readyz', timeout=5, trust_env=False).raise_for_status()"]
# Replaced by KubeRay with `ray start`.
CMD ["python", "-m", "scripts.serve", "--config", "configs/demo.yaml"]
