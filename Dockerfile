# Everything of the stack that is ours: Airflow with Veille in it, in the versions that the tests run with.
FROM python:3.11.14-slim-bookworm AS install

COPY requirements-run.lock pyproject.toml README.md LICENSE /opt/veille/
COPY pipeline /opt/veille/pipeline
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --requirement /opt/veille/requirements-run.lock \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
        --editable /opt/veille
COPY config /opt/veille/config
COPY dags /opt/veille/dags
RUN chmod -R a+rX /opt/veille  # whatever the umask of whoever has the files


FROM python:3.11.14-slim-bookworm

# The folders of the volumes, so that a new volume belongs to whoever writes into it.
RUN groupadd --gid 10001 veille \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin veille \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/veille /var/log/airflow

COPY --from=install /opt/venv /opt/venv
COPY --from=install /opt/veille /opt/veille

# The file system is read-only where this runs: byte code is made now.
RUN /opt/venv/bin/python -m compileall -q /opt/veille/pipeline
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/veille
USER 10001:10001
