# The image of the one executable: built in the first stage, alone with what it needs in the second.
# docs/deploy.md says how to use it, and what of this has been run by us and what has not.

FROM node:20.20.2-bookworm AS build
WORKDIR /build

# Compiler and headers for the Kafka client, should its prebuilt binary not be had. Most of them are
# in the base image.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      binutils g++ make python3 \
      libcurl4-openssl-dev libsasl2-dev libssl-dev libzstd-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*

# Packages change less often than sources, so they are a layer of their own. No package runs a
# script of its own (docs/decisions/0007-install-without-the-addon.md).
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --include=dev --include=optional --no-audit --no-fund

# Takes minutes where the Kafka client must be compiled.
COPY scripts scripts
RUN node --input-type=module --eval " \
      const addon = await import('./scripts/kafka-addon.mjs'); \
      if (!(await addon.addonLoads()) && !(await addon.downloadAddon())) await addon.buildAddon()"

COPY . .
ARG REVISION=
RUN COMMIT="$REVISION" npm run build
RUN mkdir /out \
 && cp dist/transaction-ledger LICENSE /out/ \
 && /out/transaction-ledger --version \
 && /out/transaction-ledger --licenses > /out/licenses.txt

FROM debian:12.13-slim

# The executable brings all but the C and C++ libraries. Certificates are for brokers and databases
# behind TLS; tini is PID 1, because the program is no init (docs/decisions/0017-container.md).
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates libstdc++6 tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 ledger \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/transaction-ledger \
      --shell /usr/sbin/nologin ledger \
 && install -d -o 10001 -g 10001 -m 0700 \
      /var/lib/transaction-ledger /var/cache/transaction-ledger

COPY --from=build --chmod=0755 /out/transaction-ledger /usr/local/bin/transaction-ledger
COPY --from=build --chmod=0644 /out/LICENSE /out/licenses.txt /usr/share/doc/transaction-ledger/
COPY --chmod=0755 deploy/container/healthcheck /usr/local/bin/healthcheck

ENV LISTEN=0.0.0.0:7070 \
    DATA_DIR=/var/lib/transaction-ledger \
    LOG_FORMAT=json \
    XDG_CACHE_HOME=/var/cache/transaction-ledger

USER 10001:10001
WORKDIR /var/lib/transaction-ledger
VOLUME /var/lib/transaction-ledger
EXPOSE 7070
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --start-interval=1s --retries=3 \
  CMD ["/usr/local/bin/healthcheck"]
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/transaction-ledger"]

# Last, so that they do not make the layers above anew.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Transaction Ledger" \
      org.opencontainers.image.description="Takes JSON batches of account transactions over HTTP and persists each exactly once in PostgreSQL." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:12.13-slim" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
