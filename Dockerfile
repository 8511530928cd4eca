# The gateway in a container: one binary, its own user, nothing else of ours.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY package.json bun.lock bunfig.toml dev ./
# The dependencies first: they change less often than the code.
RUN ./dev prepare
COPY tsconfig.json ./
COPY src src
COPY adapters adapters
COPY policies policies
# What `weir version` names as the commit: docker build --build-arg WEIR_COMMIT="$(git rev-parse --short=12 HEAD)" .
ARG WEIR_COMMIT=
RUN ./dev build

FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --uid 10001 --home-dir /var/lib/weir --no-create-home --shell /usr/sbin/nologin weir \
  && install --directory --mode=0700 --owner=weir --group=weir /var/lib/weir
COPY --from=build /src/dist/weir /usr/local/bin/weir
COPY LICENSE /usr/share/doc/weir/LICENSE
# Freed memory is given back to the system after a second instead of at once: transfers over SSH need less processor time.
ENV MIMALLOC_PURGE_DELAY=1000
USER weir
WORKDIR /var/lib/weir
# The audit log and the gateway's keys, in a folder closed to others with nothing else in it.
# TMPDIR must allow executing: the binary unpacks its database library there.
VOLUME /var/lib/weir
EXPOSE 6432 6422 6480
STOPSIGNAL SIGTERM
ENTRYPOINT ["weir"]
CMD ["up", "--config", "/etc/weir/weir.yaml"]
