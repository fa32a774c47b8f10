# The image of controller, scheduler and consumers. A team's worker image is FROM it: see examples/worker.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY .ci/node .ci/node
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY .ci/build.ts .ci/
COPY tsconfig.json tsconfig.build.json CHANGELOG.md LICENSE README.md ./
COPY crds crds
COPY bin bin
COPY src src
# The commit that `tidemill --version` names; there is no repository in here to ask.
ARG TIDEMILL_COMMIT=unknown
RUN npm run build \
 && npm pack --silent --ignore-scripts --pack-destination /tmp \
 && mkdir -p /app/node_modules/tidemill \
 && tar -xzf /tmp/tidemill-*.tgz -C /app/node_modules/tidemill --strip-components=1 --no-same-owner
# The dependencies as locked, and zod, which is a peer: tasks import the same copy as Tidemill does. Declarations and maps
# are for editors, prebuilds for other runtimes than Node.
RUN cp -r node_modules/zod /app/node_modules/ \
 && npm ci --omit=dev --workspaces=false --ignore-scripts --no-audit --no-fund \
 && cp -r node_modules/. /app/node_modules/ \
 && cd /app \
 && rm -rf node_modules/.bin node_modules/@types node_modules/undici-types node_modules/bare-*/prebuilds \
 && find node_modules \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
 && echo '{ "private": true, "type": "module" }' > package.json \
 && chmod -R u=rwX,go=rX .

FROM ${NODE_IMAGE}
ARG NODE_IMAGE
ARG TIDEMILL_COMMIT=unknown
ARG TIDEMILL_VERSION=0.1.0
LABEL org.opencontainers.image.title="Tidemill" \
      org.opencontainers.image.description="Kubernetes-native scheduler and task queue: controller, scheduler, consumer, commands" \
      org.opencontainers.image.source="https://github.com/tidemill/tidemill" \
      org.opencontainers.image.documentation="https://github.com/tidemill/tidemill/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${TIDEMILL_VERSION}" \
      org.opencontainers.image.revision="${TIDEMILL_COMMIT}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"
# PID 1 has no default signal handlers and must reap orphans: tini does both.
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
# By default glibc raises the size of free memory from which it gives some back, and keeps it: docs/decisions/0021.
ENV NODE_ENV=production MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY --from=build /app ./
# A number: Kubernetes cannot see that a name is not root.
USER 10001:10001
EXPOSE 9464
ENTRYPOINT ["tini", "--", "node", "/app/node_modules/tidemill/bin/tidemill.js"]
CMD ["--help"]
