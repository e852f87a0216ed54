# DynamoDB in a file, alone: not root, no capability, nothing writable but /data.
FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/bursar && /opt/bursar/bin/pip install --no-cache-dir '.[console]'

FROM python:3.13-slim
RUN groupadd --gid 10001 bursar && useradd --uid 10001 --gid bursar --no-create-home bursar \
    && install --directory --owner=bursar --group=bursar --mode=700 /data
COPY --from=build /opt/bursar /opt/bursar
ENV PATH=/opt/bursar/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/', timeout=4)"]
ENTRYPOINT ["bursar", "dynamo", "--host", "0.0.0.0", "--port", "8000", "--open-to-anyone"]
CMD ["--data", "/data/dynamo.db"]
