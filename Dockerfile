# The image: the published package on an official Node image. `.ci/image` performs these steps without a container engine.
#
#   docker build -t postern .
#   docker run --rm -p 8080:8080 -v ./postern.yaml:/etc/postern/postern.yaml:ro postern
#
# Runs as uid 65532 and writes nothing but what it keeps over a restart, to the volume /var/lib/postern: `--read-only` works. Calls on 8080; /livez and /readyz on 9902; /metrics and /api on 9901,
# loopback only. It listens for SIGTERM and SIGHUP.

FROM node:26-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm pack --pack-destination /tmp && mv /tmp/postern-*.tgz /tmp/postern.tgz

# The tarball into an empty prefix: what anybody gets who installs the package.
FROM node:26-slim AS install
COPY --from=build /tmp/postern.tgz /tmp/
RUN npm install --global --prefix /opt/postern --omit=dev --ignore-scripts /tmp/postern.tgz

FROM node:26-slim
COPY --from=install /opt/postern /opt/postern
COPY config/container.yaml /etc/postern/postern.yaml
RUN install -d -o 65532 -g 65532 /var/lib/postern
VOLUME /var/lib/postern
ENV NODE_ENV=production PATH=/opt/postern/bin:$PATH
USER 65532:65532
WORKDIR /
EXPOSE 8080 9902
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9902/livez').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["postern"]
CMD ["start", "--config", "/etc/postern/postern.yaml"]
